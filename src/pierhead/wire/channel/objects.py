"""JSON objects on a stream, one per line, however the lines are cut into messages."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from pierhead.kit import errors
from pierhead.wire.channel.link import Stream

_LONGEST = 8 << 20


async def send(stream: Stream, value: Mapping[str, Any]) -> None:
    """Raises: Lost, Conflict (the other end has closed the stream)."""
    await stream.send_all(json.dumps(value, ensure_ascii=False).encode() + b"\n")


async def received(stream: Stream) -> AsyncGenerator[dict[str, Any], None]:
    """Until the other end closes the stream; it is closed here too when the reader leaves.

    Raises: Lost, what the other end failed with, Invalid (these are no objects).
    """
    rest = b""
    try:
        while message := await stream.receive():
            *lines, rest = (rest + message).split(b"\n")
            for line in lines:
                yield _read(line)
            if len(rest) > _LONGEST:
                raise errors.Invalid(f"A line of more than {_LONGEST} bytes came.")
    finally:
        stream.close()


def _read(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise errors.Invalid(f"A line is no JSON: {line[:100]!r}") from error
    if not isinstance(value, dict):
        raise errors.Invalid(f"A line is no JSON object: {line[:100]!r}")
    return value
