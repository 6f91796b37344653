"""What runs in a data folder, read from outside: true also when the process that wrote it is dead."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pierhead.boot import home, preflight, supervise
from pierhead.boot.supervise import State, Status
from pierhead.gateway import haproxy
from pierhead.kit import clock, process
from pierhead.settings import Settings

SERVER = "server"
PARTS = ("engine", "registry", "catalog", "gateway", "agent", "resolver", SERVER)


@dataclass(frozen=True, slots=True)
class Whole:
    """All parts of one data folder."""

    running: bool
    """The process that keeps the parts is alive."""
    pid: int | None
    about: Mapping[str, Any]
    """What it wrote of itself: cluster, engine, addresses. Empty when it never ran."""
    parts: tuple[Status, ...]

    @property
    def works(self) -> bool:
        return self.running and bool(self.parts) and all(part.state.works for part in self.parts)

    @property
    def ready(self) -> bool:
        return self.works and all(part.state is State.READY for part in self.parts)


def about(settings: Settings) -> dict[str, Any]:
    """What a reader of the status needs to know of the settings that a Pierhead runs with."""
    return {
        "cluster": settings.cluster,
        "engine": settings.engine.socket,
        "addresses": {
            "apps": f"http://*.{settings.domain}:{settings.gateway.http_port}",
            "api": settings.api_url,
            "registry": settings.registry_address,
            "catalog": settings.catalog_url,
            "dns": f"{settings.resolver.host}:{settings.resolver.port}",
        },
    }


def read(folder: Path) -> Whole:
    """What runs in that data folder now."""
    pier = process.adopt(home.SOLO, home.run_folder(folder))
    written = _document(home.status_file(folder))
    known = supervise.read(written.pop("parts", []))
    writer = written.pop("pid", None)
    if pier:
        return Whole(True, pier.pid, written, known if writer == pier.pid else ())
    alive = {running.name for running in home.running(folder)}
    if haproxy.NAME in alive:
        alive.add("gateway")
    if "engine" in written and preflight.engine_answers(written["engine"]):
        alive.add("engine")
    return Whole(False, None, written, ended(known, alive, clock.now()))


def ended(known: Sequence[Status], alive: set[str], now: datetime) -> tuple[Status, ...]:
    """The parts of a Pierhead whose process is gone: those that are programs of their own may be alive still."""
    by_name = {part.name: part for part in known}
    return tuple(_ended(by_name.get(name, Status(name, State.STOPPED, now)), alive, now) for name in PARTS)


def _ended(part: Status, alive: set[str], now: datetime) -> Status:
    if part.state is State.STOPPED:
        return replace(part, detail="runs on without Pierhead" if part.name in alive else "")
    if part.name in alive:
        return replace(part, state=State.DEGRADED, since=now, problem="runs on without Pierhead", hint="`pier up`")
    return replace(part, state=State.STOPPED, since=now, problem="Pierhead ended without a word", hint="`pier up`")


def document(whole: Whole) -> dict[str, Any]:
    """The same as `pier status --json` prints it."""
    return {"running": whole.running, "ready": whole.ready, "pid": whole.pid, **whole.about, "parts": whole.parts}


def _document(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
