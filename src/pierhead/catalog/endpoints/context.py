"""What every endpoint can reach: the state, the clock of this request, and who this server is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pierhead.catalog import filters, reply
from pierhead.catalog.fields import Struct
from pierhead.catalog.records import Check, Service
from pierhead.catalog.reply import Rejected, Reply, Watch
from pierhead.catalog.request import Request
from pierhead.catalog.state import State
from pierhead.catalog.tokens import ROOT, Access
from pierhead.catalog.upkeep import Upkeep

VERSION = "1.8.7"
"""The Consul whose API is spoken; clients parse it."""


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    name: str
    payload: str
    time: int
    filters: tuple[str, ...] = ("", "", "")
    """By node, service and tag."""


@dataclass(slots=True)
class Context:
    state: State
    upkeep: Upkeep
    node: str
    """Name of the server's own node, whose agent it is."""
    node_id: str
    address: str
    port: int
    now: float = 0.0
    """Seconds on the clock that deadlines are set by."""
    access: Access = ROOT
    """What the token of this request allows."""
    events: list[Event] = field(default_factory=list)
    tags: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """The tags of each service, as of the index at which it last changed."""
    encoded_checks: dict[tuple[str, ...], tuple[Check, Service | None, bytes]] = field(default_factory=dict)
    """The JSON of checks, as long as the check and its service are the same rows."""


def watch(
    context: Context, request: Request, topics: tuple[str, ...], value: Callable[[], Any], *, index: int = 0
) -> Watch:
    """The value as JSON, awaited on `topics`; its index is `index` or when they last changed."""
    at = index or max(context.state.ledger.changed(topic) for topic in topics)
    return Watch(at, topics, lambda: reply.of(value()), is_cached=True)


def selected(request: Request, shapes: Sequence[Any], of: Struct) -> list[Any]:
    """The shapes that the request's filter keeps; `of` says what it may ask. Raises: Rejected for one that is none."""
    expression = request.get("filter")
    return filters.select(expression, shapes, of) if expression else list(shapes)


def selected_map(request: Request, shapes: dict[str, Any], of: Struct) -> dict[str, Any]:
    """The entries whose values the request's filter keeps. Raises: Rejected for a filter that is none."""
    kept = {id(shape) for shape in selected(request, list(shapes.values()), of)}
    return {key: shape for key, shape in shapes.items() if id(shape) in kept}


def required(tail: str, what: str) -> str:
    """The tail, which must not be empty. Raises: Rejected 400."""
    if not tail:
        raise Rejected(400, f"Missing {what}")
    return tail


def done() -> Reply:
    """An acknowledgement without a body."""
    return reply.EMPTY
