"""Commands that a host service's check runs on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

_OUTPUT_LIMIT = 500
_CHUNK = 1 << 16


async def run(command: Sequence[str]) -> tuple[int, bytes]:
    """The exit code and the end of what it wrote. When cancelled, nothing of it runs on, its children included.

    Raises: OSError (there is no such program, or it may not be run).
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output = await _end_of(process.stdout) if process.stdout else b""
        return await process.wait(), output
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _end_of(stream: asyncio.StreamReader) -> bytes:
    output = b""
    while data := await stream.read(_CHUNK):
        output = (output + data)[-_OUTPUT_LIMIT:]
    return output
