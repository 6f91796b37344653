"""User events, kept in memory like Consul's: the last 256. Source: Consul HTTP API, Events."""

from __future__ import annotations

import base64
import uuid
from typing import Any

from pierhead.catalog import reply
from pierhead.catalog.endpoints import context as endpoint
from pierhead.catalog.endpoints.context import Context, Event
from pierhead.catalog.reply import Outcome
from pierhead.catalog.request import Request

_KEPT = 256


def fire(context: Context, request: Request, tail: str) -> Outcome:
    name = endpoint.required(tail, "name")
    event = Event(str(uuid.uuid4()), name, base64.b64encode(request.body).decode(), context.state.ledger.next)
    context.events.append(event)
    del context.events[:-_KEPT]
    context.state.ledger.touch(("events",))
    return reply.of(_render(event))


def list_(context: Context, request: Request, tail: str) -> Outcome:
    name = request.get("name")

    def value() -> list[Any]:
        return [_render(event) for event in context.events if name in ("", event.name)]

    return endpoint.watch(context, request, ("events",), value)


def _render(event: Event) -> dict[str, Any]:
    return {
        "ID": event.id,
        "Name": event.name,
        "Payload": event.payload or None,
        "NodeFilter": "",
        "ServiceFilter": "",
        "TagFilter": "",
        "Version": 1,
        "LTime": event.time,
    }
