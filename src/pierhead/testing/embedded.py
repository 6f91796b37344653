"""`pier catalog` in a process of its own, for tests that kill it and for measurements that read its memory."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

PROGRAM = "from pierhead.cli.catalog import app; app()"
_START_LIMIT = _STOP_LIMIT = timedelta(seconds=30)


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Its URL, on a free port, and its process; it is ended with SIGTERM if it still runs."""
    arguments = (sys.executable, "-c", PROGRAM, "--listen", "127.0.0.1:0", "--data", str(data), "--node", "probe")
    environ = {**os.environ, "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(*arguments, stderr=asyncio.subprocess.PIPE, env=environ)
    try:
        yield await _announced(process), process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(_STOP_LIMIT.total_seconds()):
            await process.communicate()


async def _announced(process: asyncio.subprocess.Process) -> str:
    if process.stderr:
        async with asyncio.timeout(_START_LIMIT.total_seconds()):
            async for line in process.stderr:
                if b"answers at" in line:
                    return line.decode().split()[-1].rstrip(".")
    raise AssertionError("the catalog ended before it listened")
