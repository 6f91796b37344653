"""What a container wrote, line by line. Source: Docker Engine API, Get container logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from pierhead.wire.docker import frames
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.frames import Frame
from pierhead.wire.docker.moments import moment

_PIECE = 16 << 10
"""Bytes after which the engine cuts a line."""
_LONGEST = 1 << 20
"""Bytes of a line that are put together again at most."""


@dataclass(frozen=True, slots=True)
class Line:
    at: str
    """The engine's own text, with nanoseconds: lines of one container compare by it."""
    is_error: bool
    """It is of standard error; never for a container with a terminal."""
    text: str
    """Without its end."""


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
        async for line in whole(_raw(response.content) if tty else frames.frames(response.content)):
            yield line


async def whole(found: AsyncIterator[Frame]) -> AsyncIterator[Line]:
    """Lines as they were written. The engine cuts a long one into pieces, each with a moment of its own."""
    begun: dict[bool, tuple[str, bytes]] = {}
    async for frame in found:
        began, _, piece = frame.data.partition(b" ")
        at, before = begun.pop(frame.is_error, (began.decode(), b""))
        text = before + piece
        if len(piece) >= _PIECE and not piece.endswith(b"\n") and len(text) < _LONGEST:
            begun[frame.is_error] = at, text
        else:
            yield _line(at, frame.is_error, text)
    for is_error, (at, text) in begun.items():
        yield _line(at, is_error, text)


def _line(at: str, is_error: bool, text: bytes) -> Line:
    return Line(at, is_error, text.decode(errors="replace").rstrip("\r\n"))


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
