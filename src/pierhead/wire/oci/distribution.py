"""The distribution's own registry program, where it runs on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pierhead.kit import errors


async def collect_garbage(config: Path) -> None:
    """The storage of the registry with that configuration has no blob that no manifest names.

    Only while nobody pushes: it would take blobs of an image that is not whole yet.
    Source: distribution, "Garbage collection". Raises: Failed.
    """
    process = await asyncio.create_subprocess_exec(
        *("docker-registry", "garbage-collect", str(config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, complaint = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        raise errors.Failed(f"The registry's garbage could not be collected: {''.join(last)}")
