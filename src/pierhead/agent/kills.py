"""What kill events say about the containers they hit. Pure.

A kill event is not an end: `docker kill -s HUP` is one too. It counts for the run of the container that it hit, so one
that is told twice, or from before a restart, does no harm.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from pierhead.agent import signals
from pierhead.agent.drains import Drain
from pierhead.wire.docker.containers import Container

PATIENCE = timedelta(seconds=5)
"""A container that still runs so long after its stop limit has survived its stop signal."""


Kills = Mapping[int, datetime]
"""Signal → when it was last sent."""


def drain(container: Container, kills: Kills, *, real: str) -> Drain | None:
    """The drain that the kill of one of Pierhead's own containers begins.

    The harmless signal asks for a drain. The real one, or a kill, is on its way already: the app was not asked by the
    agent, so nothing is left but to take it out of the catalog's sight.
    """
    if at := _last(container, kills, (signals.number(real), signals.KILL)):
        return Drain(at, is_signalled=True)
    at = _last(container, kills, (signals.CONTINUE,))
    return Drain(at) if at else None


def leaves_until(container: Container, kills: Kills) -> datetime | None:
    """Until when a container that Pierhead did not start is taken to be leaving; None when it is not."""
    at = _last(container, kills, (signals.number(container.stop_signal), signals.KILL))
    return at + container.stop_timeout + PATIENCE if at else None


def _last(container: Container, kills: Kills, numbers: Collection[int]) -> datetime | None:
    found = [at for number, at in kills.items() if number in numbers and at >= container.started_at]
    return max(found, default=None)
