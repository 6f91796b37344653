"""The master process: which workers there are, those that only finish included, and the reload.

Source: HAProxy management guide, 9.4 Master CLI.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
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


async def loads(socket: Path, pid: int, backends: Iterable[str]) -> tuple[records.Load, ...]:
    """What each server of some backends has open in the worker `pid`; of those that it has not, nothing."""
    text = await _ask_each(socket, pid, (f"show stat {backend} 4 -1" for backend in backends))
    return records.read_loads(text)


async def stats(socket: Path, pid: int) -> str:
    """What the worker `pid` says of every server, for `records.read_used`, which takes a while where there are many."""
    return await cli.ask(socket, f"@!{pid} {records.STATS}")


async def servers(socket: Path, pid: int, backends: Iterable[str]) -> tuple[records.Server, ...]:
    """Every server of some backends as the worker `pid` has it."""
    text = await _ask_each(socket, pid, (f"show servers state {backend}" for backend in backends))
    return records.read_servers(text)


async def run(socket: Path, pid: int, commands: Sequence[str]) -> None:
    """The worker `pid` carried out the commands."""
    await _ask_each(socket, pid, commands)


async def _ask_each(socket: Path, pid: int, commands: Iterable[str]) -> str:
    """The master leads each command of a line to the worker that stands before it."""
    lines = cli.lines(f"@!{pid} {command}" for command in commands)
    return "\n".join([await cli.ask(socket, line) for line in lines])
