"""Which services changed since an index: what a watcher of the whole catalog pays for is the change, not the estate.

Not part of Consul's API. Whoever uses it asks for it first and goes without where it is answered with 404, as a real
Consul does. An answer names services only; what they are now is read the standard way.
"""

from __future__ import annotations

from pierhead.catalog import reply
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.reply import Outcome, Watch
from pierhead.catalog.request import Request

_TOPIC = "service:"


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
