"""The processes of one command in a container, found from the host and ended.

The engine cannot end a command that it started, and a command may have children that left its group, its session, or
their parent. What all of them keep is their environment, so each command is started with a mark in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

MARK = "PIER_COMMAND"
"""The variable that holds a command's mark."""
_PROC = Path("/proc")
_GRACE = timedelta(seconds=2)
"""From the hang-up to the kill."""
_LOOK = timedelta(milliseconds=50)
_KILLS = 20


@dataclass(frozen=True, slots=True)
class Command:
    container: str
    """Its id."""
    mark: str
    pid: int = 0
    """Of its first process, as the engine says; 0 when it does not know one."""


@dataclass(frozen=True, slots=True)
class Process:
    parent: int
    session: int
    is_marked: bool


async def end(command: Command) -> bool:
    """None of the command's processes runs: hung up on, and killed after two seconds. False: some cannot be killed."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _GRACE.total_seconds()
    found = await asyncio.to_thread(_find, command)
    _send(found, signal.SIGHUP, signal.SIGCONT)
    while found and loop.time() < deadline:
        await asyncio.sleep(_LOOK.total_seconds())
        found = await asyncio.to_thread(_find, command)
    for _ in range(_KILLS):
        if not found:
            return True
        _send(found, signal.SIGKILL)
        await asyncio.sleep(_LOOK.total_seconds())
        found = await asyncio.to_thread(_find, command)
    return not found


def signal_first(container: str, pid: int, number: int) -> bool:
    """The container's first process was sent the signal past the engine. False: it is no process of this machine."""
    if pid <= 0 or not _is_in(pid, container):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    return True


def belonging(processes: Mapping[int, Process], leader: int) -> set[int]:
    """Those that are marked or the leader, all of their sessions, and all that descend from any of them."""
    found = {pid for pid, process in processes.items() if process.is_marked or pid == leader}
    sessions = {processes[pid].session for pid in found} - {0}
    found |= {pid for pid, process in processes.items() if process.session in sessions}
    while more := {pid for pid, process in processes.items() if process.parent in found} - found:
        found |= more
    return found


def _find(command: Command) -> set[int]:
    processes = dict(_read(f"{MARK}={command.mark}".encode()))
    leader = command.pid if command.pid in processes and _is_in(command.pid, command.container) else 0
    return {pid for pid in belonging(processes, leader) if _is_in(pid, command.container)}


def _read(mark: bytes) -> Iterator[tuple[int, Process]]:
    """Every process that lives: a zombie does not."""
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                state, parent, _, session = (folder / "stat").read_text().rpartition(") ")[2].split()[:4]
                if state not in "ZX":
                    is_marked = mark in (folder / "environ").read_bytes().split(b"\0")
                    yield int(folder.name), Process(int(parent), int(session), is_marked)


def _is_in(pid: int, container: str) -> bool:
    """The process is of that container of this machine: numbers of another machine's mean nothing here."""
    try:
        return container in (_PROC / str(pid) / "cgroup").read_text()
    except OSError:
        return False


def _send(pids: Iterable[int], *numbers: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            for number in numbers:
                os.kill(pid, number)
