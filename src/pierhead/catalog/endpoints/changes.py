"""Which services changed since an index, and several services in one answer: what a watcher of the whole catalog pays
for is the change, not the estate, and its start costs few requests.

Not part of Consul's API. Whoever uses it asks for it first and goes without where it is answered with 404, as a real
Consul does.
"""

from __future__ import annotations

from typing import Any

from pierhead.catalog import render, reply
from pierhead.catalog.endpoints import selection
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.reply import Outcome, Rejected, Watch
from pierhead.catalog.request import Request

_TOPIC = "service:"
MOST = 64
"""Services that one request may ask for: nobody else is answered meanwhile."""


def services(context: Context, request: Request, _: str) -> Outcome:
    """`{"Complete": true, "Services": […]}`, sorted, once some service has gone beyond `index`.

    `Complete` is false when nobody can say any more what changed since then: then everything may have.
    """
    ledger = context.state.ledger
    topics = ("checks", "services")
    at = max(map(ledger.changed, topics))
    since = request.index

    def render() -> reply.Reply:
        found = ledger.since(since)
        names = [topic.removeprefix(_TOPIC) for topic in found or () if topic.startswith(_TOPIC)]
        spelled = sorted(next((row.name for row in context.state.services(name)), name) for name in names)
        seen = [name for name in spelled if context.access.reads("service", name)]
        return reply.of({"Complete": found is not None, "Services": seen})

    return Watch(at, topics, render)


def now(context: Context, request: Request, _: str) -> Outcome:
    """`{"web": […], …}`: for each `name` of the request what `/v1/health/service/<name>` answers."""
    names = [name for name in request.query.get("name", ()) if name]
    if not 0 < len(names) <= MOST:
        raise Rejected(400, f"name is needed once for each service, {MOST} times at most")
    topics = tuple(f"{_TOPIC}{name.lower()}" for name in names)

    def entries(name: str) -> list[Any]:
        return [render.entry(context.state, row) for row in selection.services(context, request, name)]

    at = max(map(context.state.ledger.changed, topics))
    return Watch(at, topics, lambda: reply.of({name: entries(name) for name in names}))
