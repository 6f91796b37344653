"""The rows of the catalog: frozen, small, and nothing but data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

PASSING, WARNING, CRITICAL, MAINTENANCE = "passing", "warning", "critical", "maintenance"

STATUSES = (PASSING, WARNING, CRITICAL)

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    address: str
    id: str = ""
    meta: Texts | None = None
    tagged_addresses: Texts | None = None
    create: int = 0
    modify: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        return (self.name.lower(),)


@dataclass(frozen=True, slots=True)
class Service:
    node: str
    id: str
    name: str
    address: str = ""
    port: int = 0
    tags: tuple[str, ...] | None = None
    meta: Texts | None = None
    tagged_addresses: Mapping[str, Any] | None = None
    weights: tuple[int, int] = (1, 1)
    enable_tag_override: bool = False
    create: int = 0
    modify: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        return (self.node.lower(), self.id)


@dataclass(frozen=True, slots=True)
class Check:
    """`definition` holds how the server runs it (empty: somebody else does): see `endpoints/definitions`."""

    node: str
    id: str
    name: str
    status: str
    notes: str = ""
    output: str = ""
    service_id: str = ""
    kind: str = ""
    definition: Mapping[str, Any] = field(default_factory=dict)
    create: int = 0
    modify: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        return (self.node.lower(), self.id)


@dataclass(frozen=True, slots=True)
class Pair:
    name: str
    value: str
    """Base64, as it is sent; empty for no value."""
    flags: int = 0
    lock_index: int = 0
    session: str = ""
    create: int = 0
    modify: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        return (self.name,)


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    name: str
    node: str
    behavior: str
    ttl: str
    ttl_seconds: float
    lock_delay_ns: int
    node_checks: tuple[str, ...] = ()
    service_checks: tuple[Texts, ...] | None = None
    create: int = 0
    modify: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        return (self.id,)


Row = Node | Service | Check | Pair | Session

KINDS: Mapping[str, type[Row]] = {
    "node": Node,
    "service": Service,
    "check": Check,
    "pair": Pair,
    "session": Session,
}
"""The name under which each kind of row is stored."""

KIND_OF: Mapping[type[Row], str] = {kind: name for name, kind in KINDS.items()}

_FIELDS = {kind: tuple(each.name for each in fields(kind)) for kind in KINDS.values()}
_TUPLES = {"tags", "weights", "node_checks", "service_checks"}


_CONTENTS = {kind: attrgetter(*names[:-2]) for kind, names in _FIELDS.items()}
"""Every record ends with its two indices."""


def content(row: Row) -> tuple[Any, ...]:
    """The row's values in the order of its fields, without its indices."""
    found: tuple[Any, ...] = _CONTENTS[type(row)](row)
    return found


def dump(row: Row) -> list[Any]:
    """The row's values as JSON can hold them; `load` is its inverse."""
    return [getattr(row, name) for name in _FIELDS[type(row)]]


def load(kind: str, values: list[Any]) -> Row:
    """The row of that kind whose values were dumped."""
    row = KINDS[kind]
    named = dict(zip(_FIELDS[row], values, strict=True))
    return row(**{name: _tuple(value) if name in _TUPLES else value for name, value in named.items()})


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
