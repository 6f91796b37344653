"""What a single value of an owner's file may be: a name, a duration, a size, a path, a command."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from pierhead.kit import units
from pierhead.model import policy
from pierhead.model.app import NAME

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NODE_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_./-]{0,126}[A-Za-z0-9])?")
_SHELL = frozenset(["&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1"])
_KEPT_FOLDERS = ("/.pier", "/proc", "/sys", "/dev", "/run/secrets")
_SMALLEST_MEMORY = 6 << 20


def host(value: str) -> str:
    """`value` in lower case. Raises: ValueError when it is no DNS name, `*.` in front allowed."""
    name = value.lower().rstrip(".")
    if "://" in name or "/" in name or ":" in name:
        raise ValueError(f"{value!r} must be a name alone, without scheme, port or path")
    labels = name.removeprefix("*.").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{value!r} is no DNS name")
    if all(label.isdecimal() for label in labels):
        raise ValueError(f"{value!r} is an address: a host is a name")
    return name


def _matching(pattern: re.Pattern[str], wanted: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {wanted}")
        return value

    return check


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no duration: write 30s, 2m, 1h30m or 500ms")  # noqa: TRY004
    return units.duration(value)


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0s")
    return value


def _pause(value: Any) -> timedelta | None:
    return value if value is None or isinstance(value, timedelta) else None if value == "person" else _duration(value)


def _share(value: Any) -> float:
    """`1%` or `0.01` as a number from 0 to 1."""
    text = str(value).replace(" ", "")
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1
    if isinstance(value, bool) or not 0 <= share <= 1:
        raise ValueError(f"{value!r} is no share: write 1% or 0.01")
    return share


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is no size: write 256MiB, 2GiB, 500MB or a number of bytes")  # noqa: TRY004
    count = units.size(str(value))
    if count < _SMALLEST_MEMORY:
        raise ValueError(f"{value!r} is less than 6MiB, the least that an engine accepts")
    return count


def _words(value: Any) -> Any:
    """A command as the list of its words."""
    if not isinstance(value, str):
        return value
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise ValueError(f"{value!r} cannot be split into words: {error}") from None
    if _SHELL.intersection(words):
        raise ValueError('is not run by a shell: write [sh, -c, "…"] where one is wanted')
    return words


def _path(value: str) -> str:
    if not value.startswith("/") or re.search(r"[\s?#]", value):
        raise ValueError(f"{value!r} must begin with / and have no space, ? or #")
    return value


def _probe_path(value: str) -> str:
    if not value.startswith("/") or re.search(r"[\s#]", value):
        raise ValueError(f"{value!r} must begin with / and have no space or #")
    return value


def _folder(value: str) -> str:
    if not value.startswith("/") or posixpath.normpath(value) != value or value == "//":
        raise ValueError(f"{value!r} must be an absolute path without `..`, `//` or a `/` at its end")
    return value


def _mount(value: str) -> str:
    if _folder(value) == "/" or any(value == kept or value.startswith(f"{kept}/") for kept in _KEPT_FOLDERS):
        raise ValueError(f"{value!r} cannot be replaced by a volume")
    return value


def _inside(value: str) -> str:
    if not value or value.startswith("/") or ".." in value.split("/"):
        raise ValueError(f"{value!r} must be a path inside the repository")
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError(f"{value!r} is no name of a variable")
    if value.startswith("PIER_"):
        raise ValueError("names that begin with PIER_ are set by Pierhead")
    return value


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


_A_NAME = "a name: lower-case letters, digits and `-`, a letter first, at most 40"
_UNIT = r"(\d+(\.\d+)?(ms|s|m|h|d))+"

Name = Annotated[
    str, AfterValidator(_matching(NAME, _A_NAME)), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})
]
Duration = Annotated[timedelta, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": f"^{_UNIT}$"})]
Span = Annotated[Duration, AfterValidator(_positive)]
Pause = Annotated[
    timedelta | None,
    BeforeValidator(_pause),
    WithJsonSchema({"type": "string", "pattern": f"^({_UNIT}|person)$"}),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"}]}),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+(\.\d+)? ?([kKMGT]i?)?B?$"}]}),
]
BodySize = Annotated[
    int,
    BeforeValidator(policy.size),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+(\.\d+)? ?([kKMGT]i?)?B?$"}]}),
]
Balance = Annotated[str, AfterValidator(policy.balance)]
Number = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, AfterValidator(host)]
UrlPath = Annotated[str, AfterValidator(_path)]
ProbePath = Annotated[str, AfterValidator(_probe_path)]
Text = Annotated[str, AfterValidator(_text)]
Value = Annotated[Text, WithJsonSchema({"type": ["string", "number", "boolean"]})]
"""A text that needs no quotes in the file: `file` keeps numbers and truth values as they are written."""
Mount = Annotated[str, AfterValidator(_mount)]
Folder = Annotated[str, AfterValidator(_folder)]
Inside = Annotated[str, AfterValidator(_inside)]
Variable = Annotated[str, AfterValidator(_variable)]
Secret = Annotated[str, AfterValidator(_matching(_SECRET, "a name of a secret: letters, digits, `_`, `.` and `-`"))]
NodeLabel = Annotated[str, AfterValidator(_matching(_NODE_LABEL, "a name of a node label"))]
Command = Annotated[
    list[Text],
    Field(min_length=1),
    BeforeValidator(_words),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
