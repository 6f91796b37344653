"""A real registry for tests and measurements: `docker-registry` on a free port, with a folder of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from pierhead.kit import errors
from pierhead.testing import ports

_START_LIMIT = timedelta(seconds=20)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    """`host:port` of a registry with its images in the existing `folder`; stopped at the end. Raises: Unavailable."""
    (port,) = ports.free(1)
    file = folder / "registry.yml"
    file.write_text(_config(folder / "data", port))
    log = os.open(folder / "registry.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    process = await asyncio.create_subprocess_exec("docker-registry", "serve", str(file), stdout=log, stderr=log)
    os.close(log)
    try:
        await _answers(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _answers(port: int, process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_START_LIMIT.total_seconds()):
            while not await _connects(port):
                if process.returncode is not None:
                    raise errors.Unavailable("docker-registry ended at its start.")
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise errors.Unavailable(f"docker-registry does not answer at port {port}.") from error


async def _connects(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _config(data: Path, port: int) -> str:
    return (
        "version: 0.1\nlog: {level: warn}\n"
        f"storage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
