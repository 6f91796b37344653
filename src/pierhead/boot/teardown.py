"""Everything that one data folder runs is ended, in the order in which no request is lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pierhead.boot import engine, home, preflight, remains, status
from pierhead.boot.background import STOP_PATIENCE
from pierhead.boot.supervise import State
from pierhead.gateway import haproxy
from pierhead.kit import errors, process
from pierhead.kit.process import Process
from pierhead.settings import Settings

_QUIET = timedelta(seconds=15)
_LOOK = timedelta(milliseconds=100)
KEPT = (engine.NAME, haproxy.NAME)
"""Programs that carry requests: they are the last to end, and stay with `--keep-apps`."""


@dataclass(frozen=True, slots=True)
class Down:
    """What to end."""

    settings: Settings
    keep_apps: bool = False

    @property
    def home(self) -> Path:
        return self.settings.home


async def down(asked: Down, say: Callable[[str], None]) -> None:
    """Nothing that this data folder started is running; with `keep_apps` only the engine, the apps and HAProxy are.

    Data stays: database, images, volumes and the swarm. Works as well when Pierhead itself is dead.
    Raises: Unavailable (apps run on an engine that does not answer; everything else has ended).
    """
    pier = process.adopt(home.SOLO, home.run_folder(asked.home))
    left = None if asked.keep_apps else await _apps_removed(asked, pier, say)
    if pier:
        say("stops Pierhead")
        await process.stop(pier, patience=STOP_PATIENCE)
    for running in ordered(home.running(asked.home), keep_apps=asked.keep_apps):
        say(f"stops {running.name}")
        if running.name == haproxy.NAME:
            await haproxy.stop(home.gateway_folder(asked.home))
        await process.stop(running, patience=STOP_PATIENCE)
    if left:
        raise left


def ordered(running: list[Process], *, keep_apps: bool) -> list[Process]:
    """What is to end, the engine last."""
    ending = [one for one in running if not (keep_apps and one.name in KEPT)]
    return sorted(ending, key=lambda one: (one.name == engine.NAME, one.name))


async def _apps_removed(asked: Down, pier: Process | None, say: Callable[[str], None]) -> errors.Unavailable | None:
    """The apps are gone; the reason where they could not be removed.

    A data folder that never ran has none, even when another one has apps of the same cluster on that engine.
    """
    about = status.read(asked.home).about
    if not about:
        return None
    try:
        if not await _engine_answers(asked, about["engine"], say):
            return None
        if pier:
            await _quiet(asked.home, pier)
        await remains.removed(about["engine"], about["cluster"], with_agent=pier is not None, say=say)
    except errors.Unavailable as error:
        return error
    return None


async def _engine_answers(asked: Down, address: str, say: Callable[[str], None]) -> bool:
    """The engine can be asked. An engine of Pierhead's that died may have left containers: it is started once more."""
    if preflight.engine_answers(address):
        return True
    if not process.lost(engine.NAME, home.run_folder(asked.home)):
        return False
    say("starts the engine once more, to end what it left")
    await engine.raised(asked.settings)
    return True


async def _quiet(folder: Path, pier: Process) -> None:
    """The server starts nothing any more; agent and gateway go on, so that apps can drain."""
    process.tell(pier, signal.SIGUSR1)
    deadline = asyncio.get_running_loop().time() + _QUIET.total_seconds()
    while asyncio.get_running_loop().time() < deadline and process.is_alive(pier):
        server = [part for part in status.read(folder).parts if part.name == status.SERVER]
        if all(part.state is State.STOPPED for part in server):
            return
        await asyncio.sleep(_LOOK.total_seconds())
