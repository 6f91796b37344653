"""One Pierhead in the background: started, waited for, and undone when it does not come up."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from pierhead.boot import home, status
from pierhead.boot.status import Whole
from pierhead.boot.supervise import State
from pierhead.kit import errors, files, process
from pierhead.kit.errors import Problem
from pierhead.kit.process import Process

STOP_PATIENCE = timedelta(seconds=60)
_LOOK = timedelta(milliseconds=100)
_HOPELESS = 5
"""A part that died so often during the start is not waited for."""
_SETTLE = timedelta(seconds=10)
"""A part that is still degraded after that, while all others are ready, stays so: an app's route is wrong, say."""
_LAST_LINES = 12
_STARTER = "starting"
"""Not the name under which the process remembers itself: of two starts at once only one gets that far."""


@dataclass(frozen=True, slots=True)
class Start:
    """What to start, and how long it may take."""

    home: Path
    variables: Mapping[str, str]
    """`PIER_*`: the settings that were given as flags. Not on the command line, where everybody could read them."""
    patience: timedelta = timedelta(minutes=3)


async def up(start: Start, show: Callable[[Whole], None]) -> Whole:
    """A Pierhead runs in that data folder and every part of it works. `show` is told what is so on the way.

    When it does not come up, whatever was started for it has stopped again; what ran before runs on.
    Raises: Unavailable (a part does not become ready: the reason and the last log lines).
    """
    before = home.running(start.home)
    log = home.log_file(start.home, home.SOLO)
    begin = files.size(log)
    started = process.start(
        _STARTER, command(start), run=home.run_folder(start.home), log=log, env={**os.environ, **start.variables}
    )
    try:
        if await _comes_up(start, started, show):
            process.forget(started)
            return status.read(start.home)
    except asyncio.CancelledError:
        await _undo(start.home, before, started)
        raise
    problems = reasons(whole) if (whole := status.read(start.home)).running else []
    lines = [] if problems else files.last_lines(log, _LAST_LINES, start=begin)
    await _undo(start.home, before, started)
    raise errors.Unavailable(
        "Pierhead did not come up; what was started for it has stopped again.",
        problems=problems,
        hint="\n".join([*lines, f"The whole log: {log}"]),
    )


def become(start: Start) -> NoReturn:
    """The calling process is the Pierhead of that data folder, for an init system that watches it."""
    argv = command(start)
    os.execve(argv[0], argv, {**os.environ, **start.variables})  # noqa: S606


def command(start: Start) -> tuple[str, ...]:
    """How the process is started. The settings are in its environment, where no process list shows them."""
    return (sys.executable, "-m", "pierhead.boot.solo", str(start.home))


def reasons(whole: Whole) -> list[Problem]:
    """Why not every part is ready; what only waits for another part is not a reason."""
    return [
        Problem(part.name, part.problem or part.detail or part.state.value, part.hint)
        for part in whole.parts
        if part.state is not State.READY and (part.problem or part.state is not State.STARTING)
    ]


async def _comes_up(start: Start, started: Process, show: Callable[[Whole], None]) -> bool:
    """True once every part is ready, or has worked for a while; False when that will not happen."""
    loop = asyncio.get_running_loop()
    deadline, working_since = loop.time() + start.patience.total_seconds(), loop.time()
    while loop.time() < deadline and process.is_alive(started):
        whole = status.read(start.home)
        mine = whole.pid == started.pid
        if mine:
            show(whole)
        if mine and any(part.state is State.FAILED and part.restarts >= _HOPELESS for part in whole.parts):
            return False
        if not (mine and whole.works):
            working_since = loop.time()
        if mine and (whole.ready or loop.time() - working_since > _SETTLE.total_seconds()):
            return True
        await asyncio.sleep(_LOOK.total_seconds())
    return False


async def _undo(folder: Path, before: Collection[Process], started: Process) -> None:
    """Nothing runs that did not run before."""
    await process.stop(started, patience=STOP_PATIENCE)
    for running in home.running(folder):
        if running not in before:
            await process.stop(running, patience=STOP_PATIENCE)
