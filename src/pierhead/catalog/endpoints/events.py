"""User events, kept in memory like Consul's: the last 256. Source: Consul HTTP API, Events."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from typing import Any

from pierhead.catalog import patterns, reply
from pierhead.catalog.endpoints import context as endpoint
from pierhead.catalog.endpoints.context import Context, Event
from pierhead.catalog.reply import Outcome, Rejected
from pierhead.catalog.request import Request

_KEPT = 256
_LIMIT = 512
"""Bytes of a name and its payload, as in Consul."""


def fire(context: Context, request: Request, tail: str) -> Outcome:
    name = endpoint.required(tail, "name")
    context.access.require_write("event", name)
    filters = tuple(request.get(each) for each in ("node", "service", "tag"))
    concerned = _concerns(context, *filters)
    if len(name) + len(request.body) > _LIMIT:
        raise Rejected(400, f"user event exceeds configured limit of {_LIMIT} bytes before encoding")
    payload = base64.b64encode(request.body).decode()
    event = Event(str(uuid.uuid4()), name, payload, context.state.ledger.next, filters)
    if concerned:
        context.events.append(event)
        del context.events[:-_KEPT]
        context.state.ledger.touch(("events",))
    return reply.of(_render(event))


def list_(context: Context, request: Request, tail: str) -> Outcome:
    name = request.get("name")

    def value() -> list[Any]:
        found = [event for event in context.events if name in ("", event.name)]
        return [_render(event) for event in found if context.access.reads("event", event.name)]

    return endpoint.watch(context, request, ("events",), value)


def _concerns(context: Context, node: str, service: str, tag: str) -> bool:
    """The event is for this server's own node: by its name, and by a service on it. Raises: Rejected 400."""
    if tag and not service:
        raise Rejected(400, "Cannot provide tag filter without service filter")
    fits_node, fits_service, fits_tag = _pattern("node", node), _pattern("service", service), _pattern("tag", tag)
    if not fits_node(context.node):
        return False
    if not service:
        return True
    named = [row for row in context.state.services_on(context.node) if fits_service(row.name)]
    return any(not tag or any(map(fits_tag, row.tags or ())) for row in named)


def _pattern(what: str, text: str) -> Callable[[str], bool]:
    try:
        return patterns.search(text)
    except ValueError as error:
        raise Rejected(400, f"Invalid {what} filter: error parsing regexp: {error}") from None


def _render(event: Event) -> dict[str, Any]:
    return {
        "ID": event.id,
        "Name": event.name,
        "Payload": event.payload or None,
        "NodeFilter": event.filters[0],
        "ServiceFilter": event.filters[1],
        "TagFilter": event.filters[2],
        "Version": 1,
        "LTime": event.time,
    }
