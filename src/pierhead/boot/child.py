"""A program of somebody else's as a part: started or adopted, watched, and left alone or stopped at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pierhead.boot import home
from pierhead.boot.supervise import Report
from pierhead.kit import errors, files, process
from pierhead.kit.process import Process

_LONGEST_LINE = 300
_FIRST_LOOK = timedelta(milliseconds=50)
_LOOK = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Child:
    """What to run, and how to see that it works."""

    name: str
    argv: tuple[str, ...]
    home: Path
    check: Callable[[], Awaitable[None]]
    """Raises Unavailable while it does not answer."""
    detail: str
    """Where it is reached."""
    patience: timedelta = timedelta(seconds=30)
    """How long it may take to answer, and to stop."""

    @property
    def log(self) -> Path:
        return home.log_file(self.home, self.name)


def present(child: Child) -> Process | None:
    """The run of it that is alive, if there is one."""
    return process.adopt(child.name, home.run_folder(child.home))


async def raised(child: Child) -> Process:
    """It runs and answers. Raises: NotFound (not installed), Unavailable (with the last lines it wrote)."""
    begin = files.size(child.log)
    running = present(child) or process.start(child.name, child.argv, run=home.run_folder(child.home), log=child.log)
    deadline = asyncio.get_running_loop().time() + child.patience.total_seconds()
    while (problem := await _ask(child)) is not None:
        if not process.is_alive(running):
            raise died(child, await process.exited(running), begin)
        if asyncio.get_running_loop().time() > deadline:
            raise errors.Unavailable(
                f"{child.name} runs (pid {running.pid}) and does not answer at {child.detail}: {problem.message}",
                hint=f"Its log: {child.log}",
            )
        await asyncio.sleep(_FIRST_LOOK.total_seconds())
    return running


async def watched(child: Child, running: Process, report: Report) -> None:
    """Reports whether it answers, and keeps its log small, until it dies. Raises: Unavailable (it died)."""
    begin = files.size(child.log)
    async with asyncio.TaskGroup() as group:
        group.create_task(_look(child, report))
        raise died(child, await process.exited(running), begin)


def died(child: Child, status: int | None, begin: int) -> errors.Unavailable:
    """The error that tells how it ended and the last line that it wrote, after byte `begin` of its log."""
    how = "" if status is None else f" with status {status}" if status >= 0 else f" by signal {-status}"
    said = "".join(f": {line.strip()[-_LONGEST_LINE:]}" for line in files.last_lines(child.log, 1, start=begin))
    return errors.Unavailable(f"{child.name} ended{how}{said}", hint=f"Its log: {child.log}")


async def _look(child: Child, report: Report) -> None:
    while True:
        await asyncio.sleep(_LOOK.total_seconds())
        await asyncio.to_thread(files.rotate, child.log)
        problem = await _ask(child)
        if problem is None:
            report.ready(child.detail)
        else:
            report.degraded(f"does not answer at {child.detail}: {problem.message}", f"Its log: {child.log}")


async def _ask(child: Child) -> errors.Unavailable | None:
    try:
        await child.check()
    except errors.Unavailable as error:
        return error
    return None
