"""How the engine mixes standard output and standard error. Source: Engine API, Attach, "Stream format"."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

_HEADER = 8
_STDERR = 2


@dataclass(frozen=True, slots=True)
class Frame:
    is_error: bool
    """It is of standard error."""
    data: bytes


async def frames(stream: aiohttp.StreamReader) -> AsyncIterator[Frame]:
    """Every frame until the stream ends; what is left of a frame that was cut short is dropped."""
    while True:
        header = await _exactly(stream, _HEADER)
        if header is None:
            return
        data = await _exactly(stream, int.from_bytes(header[4:], "big"))
        if data is None:
            return
        yield Frame(header[0] == _STDERR, data)


async def _exactly(stream: aiohttp.StreamReader, size: int) -> bytes | None:
    parts, left = [], size
    while left:
        part = await stream.read(left)
        if not part:
            return None
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
