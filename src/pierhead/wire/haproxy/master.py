"""The master process: which workers there are, those that only finish included, and the reload.

Source: HAProxy management guide, 9.4 Master CLI.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from pierhead.kit import errors
from pierhead.wire.haproxy import cli, records


async def processes(socket: Path) -> records.Processes:
    """The master and its workers. Raises: Unavailable."""
    return records.read_processes(await cli.ask(socket, "show proc"))


async def reload(socket: Path) -> None:
    """The master was told to read its file again and to replace the worker. It answers nothing in 2.6: look."""
    with contextlib.suppress(errors.Unavailable):  # the master runs its program anew and drops the connection
        await cli.ask(socket, "reload")


async def loads(socket: Path, pid: int, backend: str) -> tuple[records.Load, ...]:
    """What each server of a backend has open in the worker `pid`."""
    return records.read_loads(await cli.ask(socket, f"@!{pid} show stat {backend} 4 -1"))


async def servers(socket: Path, pid: int, backend: str) -> tuple[records.Server, ...]:
    """Every server of a backend as the worker `pid` has it."""
    return records.read_servers(await cli.ask(socket, f"@!{pid} show servers state {backend}"))


async def run(socket: Path, pid: int, commands: Sequence[str]) -> None:
    """The worker `pid` carried out the commands."""
    for command in commands:
        await cli.ask(socket, f"@!{pid} {command}")
