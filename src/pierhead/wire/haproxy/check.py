"""The program itself: is this configuration valid?"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from pierhead.kit import errors, tasks
from pierhead.kit import process as processes

LINES = 5
"""Of what it complains about."""


async def check(program: str, file: Path, *, idle: timedelta = timedelta(seconds=30)) -> None:
    """HAProxy would start with `file`. A large one takes a busy machine long: only `idle` without any work is too long.

    Raises: Invalid with its own words; NotFound (no such program); Unavailable (it hangs).
    """
    try:
        process = await asyncio.create_subprocess_exec(
            program, "-c", "-f", str(file), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except FileNotFoundError as error:
        raise errors.NotFound(f"the program {program} is not installed", hint="Install the package haproxy.") from error
    told = bytearray()

    async def finish() -> None:
        told.extend((await process.communicate())[0])

    if not await tasks.unless(processes.idle(process.pid, idle), finish()):
        process.kill()
        await process.wait()
        raise errors.Unavailable(f"{program} -c has done nothing for {idle.total_seconds():.0f} s")
    if process.returncode:
        said = [line for line in told.decode(errors="replace").splitlines() if line.startswith("[ALERT]")]
        reason = "\n".join(said[:LINES])
        raise errors.Invalid(f"HAProxy refuses {file}: {reason or 'it does not say why'}")
