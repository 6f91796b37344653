"""What a container wrote, line by line. Source: Docker Engine API, Get container logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from pierhead.wire.docker import frames
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.frames import Frame
from pierhead.wire.docker.moments import moment


@dataclass(frozen=True, slots=True)
class Line:
    at: str
    """The engine's own text, with nanoseconds: lines of one container compare by it."""
    is_error: bool
    """It is of standard error; never for a container with a terminal."""
    text: str
    """Without its end. The engine cuts a line that is longer than 16 KiB."""


@dataclass(frozen=True, slots=True)
class Wanted:
    tail: int | None = None
    """Only so many of the last lines; None: all."""
    since: str = ""
    """Only from that moment on, itself included."""
    follow: bool = False
    """And what comes until the container ends."""


async def lines(engine: Engine, container: str, wanted: Wanted, *, tty: bool) -> AsyncIterator[Line]:
    """Raises: NotFound, Conflict (its log driver cannot be read)."""
    query = {
        "stdout": True,
        "stderr": True,
        "timestamps": True,
        "follow": wanted.follow,
        "tail": "all" if wanted.tail is None else str(wanted.tail),
        "since": _epoch(wanted.since) if wanted.since else "0",
    }
    async with engine.stream("GET", f"/containers/{container}/logs", query) as response:
        async for frame in _raw(response.content) if tty else frames.frames(response.content):
            at, _, text = frame.data.decode(errors="replace").partition(" ")
            yield Line(at, frame.is_error, text.rstrip("\r\n"))


async def _raw(stream: aiohttp.StreamReader) -> AsyncIterator[Frame]:
    async for line in stream:
        yield Frame(is_error=False, data=line)


def _epoch(at: str) -> str:
    """Seconds since 1970 with all nine digits, which a float does not hold."""
    whole = int(moment(at).replace(microsecond=0).timestamp())
    return f"{whole}.{_digits(at):0<9}"


def _digits(at: str) -> str:
    rest = at.partition(".")[2]
    return rest[: next((i for i, char in enumerate(rest) if not char.isdigit()), len(rest))][:9]
