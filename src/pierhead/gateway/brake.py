"""When most of a service, or of everything, vanishes at once, that is not believed at first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pierhead.model.instance import Endpoint, State

LEAST_ENDPOINTS, LEAST_SERVICES = 20, 3
"""Of a smaller estate most may really go at once."""


def is_doubtful(before: Sequence[Endpoint], after: Sequence[Endpoint]) -> bool:
    """More than half of those that could serve are simply gone: neither drained, nor are others there instead."""
    return 2 * _gone(before, after) > _serving(before)


def is_estate_doubtful(before: Mapping[str, Sequence[Endpoint]], after: Mapping[str, Sequence[Endpoint]]) -> bool:
    """More than half of all that could serve are simply gone, of several services, if the estate has any size."""
    gone = [count for name, found in after.items() if (count := _gone(before.get(name, ()), found))]
    if len(gone) < LEAST_SERVICES:
        return False
    serving = sum(map(_serving, before.values()))
    return serving >= LEAST_ENDPOINTS and 2 * sum(gone) > serving


def _serving(endpoints: Sequence[Endpoint]) -> int:
    return sum(endpoint.state == State.HEALTHY for endpoint in endpoints)


def _gone(before: Sequence[Endpoint], after: Sequence[Endpoint]) -> int:
    """Those that could serve and are gone, less those that can serve and were not there: a machine that was started
    again has other instances, and somebody must have seen them to say that they are healthy."""
    left, known = {endpoint.id for endpoint in after}, {endpoint.id for endpoint in before}
    gone = sum(endpoint.state == State.HEALTHY and endpoint.id not in left for endpoint in before)
    new = sum(endpoint.state == State.HEALTHY and endpoint.id not in known for endpoint in after)
    return max(0, gone - new)
