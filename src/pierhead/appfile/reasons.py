"""What pydantic found, in words for the owner of the file."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from pierhead.appfile import schema
from pierhead.appfile.check import nearest
from pierhead.appfile.document import Fault, Path

_WANTED = {
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "missing": "is needed",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def fault(detail: ErrorDetails, further: Sequence[str] = (), root: type[BaseModel] = schema.App) -> Fault:
    """The fault that `detail` is. `further`: keys of the file that its model `root` does not have."""
    path = _path(detail)
    given, kind = detail["input"], detail["type"]
    if kind == "extra_forbidden":
        known = [*known_keys(path[:-1], root), *(further if len(path) == 1 else [])]
        return Fault(path, "there is no such key", nearest(str(path[-1]), known) or f"one of {', '.join(known)}")
    if kind == "literal_error":
        choices = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        if len(choices) == 1:
            return Fault(path, f"must be a mapping or `{choices[0]}`, not {_shown(given)}")
        return Fault(path, f"{given!r} is none of {', '.join(choices)}", nearest(str(given), choices))
    if kind == "value_error":
        return Fault(path, str(detail["ctx"]["error"]))
    if kind in ("greater_than_equal", "less_than_equal", "greater_than"):
        return Fault(path, f"{given} {_bound(kind, detail['ctx'])}")
    reason = _WANTED.get(kind, detail["msg"])
    if kind in ("missing", "too_short", "string_too_short"):
        return Fault(path, reason)
    return Fault(path, f"{reason}, not {_shown(given)}", _quoted(kind, given))


def _path(detail: ErrorDetails) -> Path:
    """The path without what pydantic adds: the alternative of a union, and that a key itself is meant."""
    place = detail["loc"]
    path = tuple(key for before, key in zip(("", *place), place, strict=False) if not _is_alternative(before, key))
    if len(path) > 1 and path[-1] == "[key]" and detail["type"] != "extra_forbidden":
        path = path[:-1]
    return path


def _is_alternative(before: str | int, key: str | int) -> bool:
    return before in ("health", "check") and str(key).startswith("|")


def known_keys(path: Path, root: type[BaseModel] = schema.App) -> list[str]:
    """The keys that the mapping at `path` of `root` may have."""
    kind: Any = root
    for key in path:
        kind = _inner(kind, key)
    found = _model(kind)
    return list(found.model_fields) if found else []


def _inner(kind: Any, key: str | int) -> Any:
    found = _model(kind)
    if found:
        field = found.model_fields.get(str(key))
        return field.annotation if field else None
    arguments = typing.get_args(kind)
    return arguments[-1] if typing.get_origin(kind) in (dict, list) else None


def _model(kind: Any) -> type[BaseModel] | None:
    """The model that `kind` is, or that one of its alternatives is."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    if typing.get_origin(kind) in (dict, list):
        return None
    return next((found for inner in typing.get_args(kind) if (found := _model(inner))), None)


def _bound(kind: str, limits: dict[str, Any]) -> str:
    if kind == "less_than_equal":
        return f"is more than {limits['le']:g}"
    return f"is less than {limits['ge']:g}" if kind == "greater_than_equal" else f"must be more than {limits['gt']:g}"


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


def _quoted(kind: str, value: Any) -> str:
    """A number or a truth value where a text is wanted: YAML read it so."""
    return "put it in quotes" if kind == "string_type" and isinstance(value, bool | int | float) else ""
