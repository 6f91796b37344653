"""What a container wrote, for the server: also over its restarts, without a line lost or told twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pierhead.kit import clock, errors
from pierhead.wire.channel import objects
from pierhead.wire.channel.link import Stream
from pierhead.wire.docker import containers, logs
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.logs import Line, Wanted

_LOOK = timedelta(milliseconds=300)
_RETURN = timedelta(seconds=10)
"""How long a container that ended may take to run again."""


@dataclass(slots=True)
class Place:
    """How far a reader is: so many lines of that moment, and all before it."""

    at: str
    count: int = 0
    _left: int = field(default=0, init=False)

    def begin(self) -> None:
        """The lines of that moment come again."""
        self._left = self.count

    def passes(self, line: Line) -> bool:
        """The line is a new one, and counted."""
        if line.at != self.at:
            self.at, self.count, self._left = line.at, 1, 0
            return True
        if self._left:
            self._left -= 1
            return False
        self.count += 1
        return True


async def serve(engine: Engine, stream: Stream) -> None:
    """One JSON object per line: `{"at", "stream", "text"}`. Raises: Invalid, NotFound, Unavailable, Lost."""
    body = stream.body
    try:
        container, follow, tail = str(body["container"]), bool(body.get("follow")), body.get("tail")
        place = Place(str(body.get("since", "")), int(body.get("count", 0)))
        wanted = Wanted(None if tail is None else int(tail), place.at, follow)
    except (KeyError, TypeError, ValueError) as error:
        raise errors.Invalid(f"These are no logs: {error!r}") from error
    async for line in lines(engine, container, wanted, place):
        await objects.send(stream, document(line))


async def lines(engine: Engine, container: str, wanted: Wanted, place: Place) -> AsyncIterator[Line]:
    """The lines that are wanted, after those that `place` has counted. Raises: NotFound, Unavailable."""
    began = clock.text(clock.now())
    tty = _has_terminal(await containers.inspect(engine, container))
    while True:
        place.begin()
        async for line in logs.lines(engine, container, wanted, tty=tty):
            if place.passes(line):
                yield line
        if not wanted.follow or not await _runs_again(engine, container):
            return
        place.at = place.at or began
        wanted = Wanted(None, place.at, follow=True)


async def _runs_again(engine: Engine, container: str) -> bool:
    deadline = asyncio.get_running_loop().time() + _RETURN.total_seconds()
    while asyncio.get_running_loop().time() < deadline:
        try:
            if (await containers.inspect(engine, container)).running:
                return True
        except errors.NotFound:
            return False
        await asyncio.sleep(_LOOK.total_seconds())
    return False


def document(line: Line) -> Mapping[str, Any]:
    return {"at": line.at, "stream": "stderr" if line.is_error else "stdout", "text": line.text}


def _has_terminal(container: containers.Container) -> bool:
    return bool(container.raw["Config"].get("Tty"))
