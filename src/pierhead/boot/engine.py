"""The Docker Engine of this machine: one that runs already, the init system's, or one that Pierhead starts itself.

It is a manager of a swarm before anything else starts. An engine that Pierhead starts outlives it: the apps run on, and
the next Pierhead finds it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pierhead.boot import child, home, preflight
from pierhead.boot.child import Child
from pierhead.boot.supervise import Report
from pierhead.kit import address, errors, process
from pierhead.kit.process import Process
from pierhead.settings import Settings
from pierhead.wire.docker.client import Engine

log = logging.getLogger(__name__)

NAME = "engine"
_PID_FILE = "dockerd.pid"
_USUAL_SOCKETS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")
_USUAL_RUN_FOLDER = Path("/var/run/docker")
_LONGEST_FOLDER = 60
"""The engine makes sockets below its run folder, whose whole path the kernel limits to 107 bytes."""
_START = timedelta(seconds=60)
_SOON = timedelta(milliseconds=200)
_LOOK = timedelta(seconds=3)
_SILENCE = timedelta(seconds=15)
"""An engine that answers nothing for so long is taken for dead."""


async def run(settings: Settings, report: Report) -> None:
    """The engine answers and manages a swarm, until cancelled; it runs on after that.

    Raises: Unavailable (none answers and none could be started), Conflict (its swarm cannot be used), NotFound.
    """
    own = program(settings)
    running = await _running(settings, own, report)
    async with Engine(settings.engine.socket) as engine:
        detail = await _joined(settings, engine)
        report.ready(detail)
        if running:
            await child.watched(replace(own, detail=detail), running, report)
        else:
            await _watched(engine, detail, report)


async def raised(settings: Settings) -> Process:
    """Pierhead's own engine runs and answers. Raises: NotFound, Unavailable."""
    own = program(settings)
    if child.present(own) is None:
        await asyncio.to_thread(_forget_the_dead, settings)
    return await child.raised(own)


def _forget_the_dead(settings: Settings) -> None:
    """No file names a dead dockerd or containerd: both would be waited for, even when only their entry is left."""
    for file in (home.run_folder(settings.home) / _PID_FILE, run_folder(settings) / "containerd" / "containerd.pid"):
        if file.exists() and not ((pid := file.read_text().strip()).isdecimal() and process.runs(int(pid))):
            file.unlink()


def program(settings: Settings) -> Child:
    """The engine as a child of Pierhead's. At the usual socket it has the usual folders: it is the machine's engine."""

    async def check() -> None:
        async with Engine(settings.engine.socket) as engine:
            await engine.get("/version")

    return Child(
        name=NAME,
        argv=command(settings),
        home=settings.home,
        check=check,
        detail=settings.engine.socket,
        patience=_START,
    )


def command(settings: Settings) -> tuple[str, ...]:
    """How `dockerd` is started."""
    own = (f"--data-root={settings.home / 'engine'}", f"--exec-root={run_folder(settings)}")
    return (
        "dockerd",
        f"--host={settings.engine.socket}",
        f"--ip={settings.engine.bind_address}",
        f"--pidfile={home.run_folder(settings.home) / _PID_FILE}",
        *(() if _is_usual(settings) else own),
    )


def run_folder(settings: Settings) -> Path:
    """Where the engine keeps its own sockets and pids."""
    if _is_usual(settings):
        return _USUAL_RUN_FOLDER
    inner = home.run_folder(settings.home) / "dockerd"
    if len(str(inner)) <= _LONGEST_FOLDER:
        return inner
    return Path("/run") / f"pierhead-{hashlib.sha256(str(settings.home).encode()).hexdigest()[:8]}"


def _is_usual(settings: Settings) -> bool:
    return settings.engine.socket in _USUAL_SOCKETS


async def _running(settings: Settings, own: Child, report: Report) -> Process | None:
    """An engine answers. The process, when it is one that Pierhead started."""
    running = child.present(own)
    if running and running.argv != own.argv:
        log.warning("The engine runs with other settings; `pier down` and `pier up` give it the new ones.")
    if running or not (preflight.engine_answers(settings.engine.socket) or await _system_starts(settings)):
        report.starting("starts dockerd")
        return await raised(settings)
    report.starting(f"waits for {settings.engine.socket}")
    await _answers(own)
    return None


async def _system_starts(settings: Settings) -> bool:
    """The init system was asked for the engine. False when Pierhead must start it. Raises: Unavailable."""
    socket = settings.engine.socket
    if settings.engine.start != "auto" or not socket.startswith("unix://"):
        raise errors.Unavailable(
            f"no engine answers at {socket}", hint='Start it, or set engine.start = "auto" (PIER_ENGINE_START).'
        )
    if not (_has_systemd() and _is_usual(settings)):
        return False
    asked = await asyncio.create_subprocess_exec(
        "systemctl", "start", "docker", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asked.communicate()
    if asked.returncode:
        raise errors.Unavailable(
            f"systemctl start docker failed: {said.decode(errors='replace').strip()}",
            hint="`journalctl -u docker` tells why.",
        )
    return True


async def _answers(own: Child) -> None:
    """It answered within the time that a start may take. Raises: Unavailable."""
    deadline = asyncio.get_running_loop().time() + own.patience.total_seconds()
    while True:
        try:
            return await own.check()
        except errors.Unavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(_SOON.total_seconds())


async def _joined(settings: Settings, engine: Engine) -> str:
    """The engine manages a swarm; where and which it is, for a person."""
    info = await engine.get("/info")
    if needs_swarm(info["Swarm"]):
        advertise = settings.engine.advertise or _own_address()
        await engine.post("/swarm/init", {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": advertise})
        log.info("Made the engine a swarm of one node.", extra={"advertise": advertise})
        info = await engine.get("/info")
    return f"{settings.engine.socket} (Docker {info['ServerVersion']}, swarm node {info['Swarm']['NodeAddr']})"


def needs_swarm(swarm: Mapping[str, Any]) -> bool:
    """There is no swarm yet. False when the one there is can be used. Raises: Conflict, Unavailable.

    Source: Docker Engine API, SystemInfo.Swarm.
    """
    match swarm["LocalNodeState"]:
        case "inactive":
            return True
        case "active" if swarm["ControlAvailable"]:
            return False
        case "active":
            managers = ", ".join(one["Addr"].rpartition(":")[0] for one in swarm.get("RemoteManagers") or [])
            raise errors.Conflict(
                "This machine is a worker of a swarm, and Pierhead needs a manager.",
                hint=f"Use a manager ({managers}), or here `docker node promote`, or `docker swarm leave`.",
            )
        case "locked":
            raise errors.Conflict("The swarm of this machine is locked.", hint="`docker swarm unlock` opens it.")
        case state:
            raise errors.Unavailable(
                f"The swarm of this machine does not work ({state}): {swarm.get('Error') or 'no reason is given'}",
                hint="`docker info` shows it, and the engine's log why.",
            )


def _own_address() -> str:
    try:
        return address.own()
    except errors.Conflict as error:
        raise errors.Conflict(
            error.message, hint="Choose one with `-o engine.advertise=ADDRESS` (PIER_ENGINE_ADVERTISE)."
        ) from error


async def _watched(engine: Engine, detail: str, report: Report) -> None:
    """Reports whether the engine answers. Raises: Unavailable (it has been silent for too long)."""
    last = asyncio.get_running_loop().time()
    while True:
        await asyncio.sleep(_LOOK.total_seconds())
        try:
            async with asyncio.timeout(_SILENCE.total_seconds()):
                await engine.get("/version")
        except (TimeoutError, errors.Unavailable) as error:
            if asyncio.get_running_loop().time() - last > _SILENCE.total_seconds():
                raise errors.Unavailable(f"the engine has stopped answering: {error}") from error
            report.degraded("does not answer", "`docker info` asks it too.")
        else:
            last = asyncio.get_running_loop().time()
            report.ready(detail)


def _has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()
