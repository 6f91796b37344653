"""When most of a service vanishes at once right after an outage of the catalog, that is not believed. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pierhead.model.instance import Endpoint, State


def is_doubtful(before: Sequence[Endpoint], after: Sequence[Endpoint]) -> bool:
    """More than half of those that could serve are simply gone, without having been drained."""
    serving = {endpoint.id for endpoint in before if endpoint.state == State.HEALTHY}
    gone = serving - {endpoint.id for endpoint in after}
    return 2 * len(gone) > len(serving)
