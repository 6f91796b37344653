"""Pierhead on one machine: every part in one process, beside the programs that it keeps.

SIGTERM ends the process and leaves what carries requests alone: engine, apps and HAProxy run on, and the next start
adopts them. SIGUSR1 retires the server first, so that nothing new is started while `pier down` removes the apps.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta

from pierhead.boot import home, parts, status, supervise
from pierhead.boot.supervise import Board, Supervisor
from pierhead.kit import files, log, process
from pierhead.settings import Settings, load

_TIDY = timedelta(minutes=1)


async def run(settings: Settings) -> None:
    """Every part is kept running, until SIGTERM, SIGINT or cancellation. Raises: Conflict (one runs already)."""
    with home.locked(settings.home):
        me = process.myself(home.SOLO, home.run_folder(settings.home))
        try:
            await _run(settings)
        finally:
            process.forget(me)


def main(arguments: Sequence[str]) -> None:
    """`python -m pierhead.boot.solo HOME`: what `pier up` starts in the background; the rest is in PIER_* variables."""
    settings = load.load(None, os.environ, {"home": arguments[0]})
    log.start(settings.log_level, as_json=settings.log_json)
    asyncio.run(run(settings))


async def _run(settings: Settings) -> None:
    about = status.about(settings)
    joined = parts.of(settings, lambda: supervise.document(board, about))
    board = Board([part.name for part in joined])
    supervisor = Supervisor(joined, board)
    async with asyncio.TaskGroup() as group:
        keeping = [
            group.create_task(supervise.publish(board, home.status_file(settings.home), about)),
            group.create_task(_tidy(settings)),
        ]
        supervised = group.create_task(supervisor.run())
        _obey_signals(group, supervisor, supervised)
        await asyncio.wait([supervised])
        for task in keeping:
            task.cancel()


def _obey_signals(group: asyncio.TaskGroup, supervisor: Supervisor, supervised: asyncio.Task[None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervised.cancel)
    loop.add_signal_handler(signal.SIGUSR1, lambda: group.create_task(supervisor.retire(status.SERVER)))


async def _tidy(settings: Settings) -> None:
    """The log of this process stays small, until cancelled."""
    while True:
        await asyncio.to_thread(files.rotate, home.log_file(settings.home, home.SOLO))
        await asyncio.sleep(_TIDY.total_seconds())


if __name__ == "__main__":
    main(sys.argv[1:])
