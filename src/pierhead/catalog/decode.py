"""JSON bodies as Consul's own structs read them: names in any case or snake_case, null for nothing, durations as text
or nanoseconds, the content type ignored; a wrong type or an unknown name is refused with Go's words. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pierhead.catalog import request
from pierhead.catalog.reply import Rejected

_DECODER = json.JSONDecoder()
"""Reads the first value and leaves what follows it, as Go's does."""

DURATION = timedelta
"""The type of a field that holds a Go duration."""


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Any


@dataclass(frozen=True, slots=True)
class MapOf:
    value: Any


class Fields:
    """A struct: its fields' names with `str`, `int`, `bool`, `object` (anything), DURATION, ListOf, MapOf or Fields."""

    def __init__(self, fields: Mapping[str, Any], *, is_strict: bool = True) -> None:
        self.is_strict = is_strict
        self.known = {_fold(name): (name, kind) for name, kind in fields.items()}
        self.exact = {name: (name, kind) for name, kind in fields.items()}
        """Most clients spell the names as Consul does."""


_LITERALS = ("null", "true", "false")
_WHERE = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name": "looking for beginning of object key string",
    "Illegal trailing comma": "looking for beginning of value",
    "Expecting ':'": "after object key",
    "Expecting ','": "after value",
}
"""What Go says of the place where Python's decoder gives up, by how its message begins."""

_GO_KINDS = {str: "string", int: "int", bool: "bool"}


def document(body: bytes, fields: Fields, *, prefix: str = "Request decode failed: ") -> dict[str, Any]:
    """The struct in `body` with the names of `fields`; absent and null fields are left out.

    Raises: Rejected 400.
    """
    value = parse(body, prefix)
    try:
        if value is None:
            return {}
        return dict(_struct(value, fields))
    except _Mismatch as error:
        raise Rejected(400, f"{prefix}{error}") from None


def documents(body: bytes, fields: Fields, *, prefix: str, go_type: str) -> list[dict[str, Any]]:
    """The list of structs in `body`. Raises: Rejected 400."""
    value = parse(body, prefix)
    if value is not None and not isinstance(value, list):
        raise Rejected(400, f"{prefix}json: cannot unmarshal {_json_kind(value)} into Go value of type {go_type}")
    try:
        return [dict(_struct(item, fields)) for item in value or []]
    except _Mismatch as error:
        raise Rejected(400, f"{prefix}{error}") from None


def parse(body: bytes, prefix: str = "Request decode failed: ") -> Any:
    """Any JSON. Raises: Rejected 400."""
    if not body.strip():
        raise Rejected(400, f"{prefix}EOF")
    try:
        return _DECODER.raw_decode(body.decode(errors="replace").lstrip())[0]
    except (ValueError, RecursionError) as error:
        raise Rejected(400, f"{prefix}{_reason(body, error)}") from None


class _Mismatch(Exception):
    """A value is not what its field holds."""


def _struct(value: Any, fields: Fields, place: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Mismatch(f"json: cannot unmarshal {_json_kind(value)} into Go value of type struct")
    found: dict[str, Any] = {}
    for name, part in value.items():
        known = fields.exact.get(name) or fields.known.get(_fold(name))
        if known is None:
            if fields.is_strict:
                raise _Mismatch(f'json: unknown field "{name}"')
            continue
        if type(part) is known[1]:
            found[known[0]] = part
        elif part is not None:
            found[known[0]] = _convert(part, known[1], f"{place}.{known[0]}")
    return found


def _convert(value: Any, kind: Any, place: str) -> Any:
    if isinstance(kind, Fields):
        return _struct(value, kind, place)
    if isinstance(kind, ListOf) and isinstance(value, list):
        return [_convert(item, kind.item, place) for item in value if item is not None]
    if isinstance(kind, MapOf) and isinstance(value, dict):
        return {name: _convert(item, kind.value, place) for name, item in value.items() if item is not None}
    if kind is DURATION:
        return _duration(value, place)
    if kind is object or (isinstance(kind, type) and type(value) is kind):
        return value
    given = f"number {value}" if isinstance(value, float) and kind is int else _json_kind(value)
    raise _Mismatch(f"json: cannot unmarshal {given} into Go struct field {place} of type {_go_kind(kind)}")


def _duration(value: Any, place: str) -> timedelta:
    if isinstance(value, str):
        try:
            return request.duration(value) if value else timedelta()
        except ValueError as error:
            raise _Mismatch(str(error)) from None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return timedelta(microseconds=value / 1000)
    raise _Mismatch(f"json: cannot unmarshal {_json_kind(value)} into Go struct field {place} of type time.Duration")


def _go_kind(kind: Any) -> str:
    if isinstance(kind, ListOf):
        return f"[]{_go_kind(kind.item)}"
    if isinstance(kind, MapOf):
        return f"map[string]{_go_kind(kind.value)}"
    return _GO_KINDS.get(kind, "struct")


def _fold(name: str) -> str:
    return name.replace("_", "").lower()


def _json_kind(value: Any) -> str:
    kinds = {str: "string", bool: "bool", dict: "object", list: "array"}
    return kinds.get(type(value), "number")


def _reason(body: bytes, error: Exception) -> str:
    """Go's words for what is no JSON."""
    text = body.decode(errors="replace").lstrip()
    if not isinstance(error, json.JSONDecodeError):
        return "exceeded max depth"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    at, where = error.pos, next((said for began, said in _WHERE.items() if error.msg.startswith(began)), "in string")
    word = next((word for word in _LITERALS if text[at] == word[0] and error.msg.startswith("Expecting value")), "")
    if word:
        right = next((count for count in range(len(word)) if text[at : at + count + 1] != word[: count + 1]), 0)
        if at + right >= len(text.rstrip()):
            return "unexpected EOF"
        at, where = at + right, f"in literal {word} (expecting '{word[right]}')"
    return f"invalid character {text[at]!r} {where}"
