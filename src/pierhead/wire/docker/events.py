"""What happens to containers, as it happens. Source: Docker Engine API, Monitor events.

The engine remembers the last 256 events of its life and answers with them for a `since`; nothing more. An event is a
hint to look again, never the truth.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pierhead.kit import clock, errors
from pierhead.wire.docker.client import Engine

_OVERLAP = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Event:
    kind: str
    """`container`, `image`, `network`, `service`, …"""
    action: str
    """`start`, `kill`, `die`, `health_status: healthy`, …"""
    id: str
    at: datetime
    attributes: Mapping[str, str]

    @property
    def signal(self) -> int:
        """Of a `kill`; 0 for every other action."""
        text = self.attributes.get("signal", "")
        return int(text) if text.isdecimal() else 0

    @property
    def exit_code(self) -> int | None:
        """Of a `die`."""
        text = self.attributes.get("exitCode", "")
        return int(text) if text.lstrip("-").isdecimal() else None


@asynccontextmanager
async def watch(
    engine: Engine, filters: Mapping[str, Sequence[str]], since: datetime | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    """Inside the block no event is missed: what happened since `since` (now, when it is None) and what comes.

    The engine answers a moment before it subscribes, so a second more is asked for: events at the beginning may have
    been seen before. The iterator ends when the engine does; it raises Unavailable when the connection breaks.
    """
    begin = (since or clock.now()) - _OVERLAP
    query = {"filters": {key: list(values) for key, values in filters.items()}, "since": f"{begin.timestamp():.9f}"}
    async with engine.stream("GET", "/events", query) as response:
        yield _events(response.content)


async def _events(lines: AsyncIterable[bytes]) -> AsyncIterator[Event]:
    async for line in lines:
        if line.strip():
            yield read(line)


def read(line: bytes) -> Event:
    """One line of the stream. Raises: Unavailable when it is cut short."""
    try:
        value: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise errors.Unavailable(f"The engine sent an event that cannot be read: {line[:80]!r}") from error
    actor = value.get("Actor") or {}
    return Event(
        kind=value.get("Type") or "",
        action=value.get("Action") or "",
        id=actor.get("ID") or "",
        at=clock.moment(value.get("timeNano", 0) / 1e9),
        attributes=actor.get("Attributes") or {},
    )
