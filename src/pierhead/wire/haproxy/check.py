"""The program itself: is this configuration valid?"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from pierhead.kit import errors

LINES = 5
"""Of what it complains about."""


async def check(program: str, file: Path, *, timeout: timedelta = timedelta(seconds=30)) -> None:
    """HAProxy would start with `file`. Raises: Invalid with its own words; NotFound (no such program)."""
    try:
        process = await asyncio.create_subprocess_exec(
            program, "-c", "-f", str(file), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except FileNotFoundError as error:
        raise errors.NotFound(f"the program {program} is not installed", hint="Install the package haproxy.") from error
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            output, _ = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise errors.Unavailable(f"{program} -c took longer than {timeout.total_seconds():.0f} s") from error
    if process.returncode:
        said = [line for line in output.decode(errors="replace").splitlines() if line.startswith("[ALERT]")]
        told = "\n".join(said[:LINES])
        raise errors.Invalid(f"HAProxy refuses {file}: {told or 'it does not say why'}")
