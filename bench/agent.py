"""The agent beside Traefik's docker provider, in one run on one machine, for the same containers of one engine.

    uv run --group peers python bench/agent.py [--containers 200] [--starts 50]

Start: from the engine's own `start` event until the catalog's answer (Traefik: its API's) holds the new endpoint.
Steady: nothing happens for a while but the probes of the agent; Traefik only listens.
Delay: how much later an app begins because `/.pier/init` waits to be told where it is reached.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp

from pierhead.kit import errors
from pierhead.model import dot_pier
from pierhead.model.instance import Label
from pierhead.testing import ports, small
from pierhead.wire.consul import health
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import containers, events
from pierhead.wire.docker.client import Engine

SOCKET = os.environ.get("PIER_ENGINE_SOCKET", "unix:///var/run/docker.sock")
PIER = (sys.executable, "-c", "from pierhead.cli.main import main; main()")
SCRIPT = "exec busybox httpd -f -p 8000 -h /www"
STEADY = timedelta(seconds=30)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Place:
    engine: Engine
    catalog: Consul
    mark: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Figures:
    starts: Sequence[float]
    """Seconds, sorted."""
    cpu: float
    """Of one core, 0…1."""
    rss_bytes: int


async def main(count: int, starts: int) -> None:
    names: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pier-bench-") as folder:
        async with Engine(SOCKET) as engine, _catalog(Path(folder)) as url, Consul(url) as catalog:
            place = Place(engine, catalog, f"bench-{os.getpid()}", Path(folder))
            await small.image(engine)
            try:
                for number in range(count):
                    names.append(await _container(place, f"steady-{number}"))
                    await containers.start(engine, names[-1])
                async with _program(*_agent(place, url)) as agent:
                    await _until(lambda: _holds(place, f"steady-{count - 1}"), 180)
                    delays = await _delays(place, names)
                    ours = await _measured(place, agent, _ours(place), names, starts)
                found = shutil.which("traefik", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
                theirs = None
                if found:
                    api = ports.free(1)[0]
                    async with _program(found, *_traefik(place, api)) as traefik, aiohttp.ClientSession() as session:
                        known = _theirs(session, api)
                        await _until(lambda: known(f"steady-{count - 1}"), 180)
                        theirs = await _measured(place, traefik, known, names, starts)
                _print(count, ours, theirs, delays)
            finally:
                for name in names:
                    with contextlib.suppress(errors.NotFound):
                        await containers.remove(engine, name, force=True)


async def _measured(
    place: Place, process: asyncio.subprocess.Process, known: Callable[[str], Awaitable[bool]], names: list[str], n: int
) -> Figures:
    await asyncio.sleep(5)
    before, begin = _cpu(process.pid), time.monotonic()
    await asyncio.sleep(STEADY.total_seconds())
    cpu = (_cpu(process.pid) - before) / (time.monotonic() - begin)
    rss = _rss(process.pid)
    return Figures(sorted([await _start(place, known, names) for _ in range(n)]), cpu, rss)


async def _start(place: Place, known: Callable[[str], Awaitable[bool]], names: list[str]) -> float:
    """Seconds from the engine's start event until the endpoint is known."""
    service = f"start-{len(names)}"
    name = await _container(place, service)
    names.append(name)
    async with events.watch(place.engine, {"event": ["start"], "container": [name]}) as seen:
        starting = asyncio.ensure_future(containers.start(place.engine, name))  # noqa: TID251
        await _until(lambda: known(service), 60)
        at = time.time()
        await starting
        event = await anext(seen)
    await containers.remove(place.engine, name, force=True)
    return at - event.at.timestamp()


def _ours(place: Place) -> Callable[[str], Awaitable[bool]]:
    return lambda service: _holds(place, service)


async def _holds(place: Place, service: str) -> bool:
    return bool((await health.service(place.catalog, f"{service}-{place.mark}"))[0])


def _theirs(session: aiohttp.ClientSession, api: int) -> Callable[[str], Awaitable[bool]]:
    async def known(service: str) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(f"http://127.0.0.1:{api}/api/http/services/{service}@docker") as response:
                return response.status == 200
        return False

    return known


async def _container(place: Place, service: str, more: Mapping[str, object] | None = None) -> str:
    """One that exists and does not run."""
    port = [{"name": "web", "port": 8000, "protocol": "http", "service": f"{service}-{place.mark}"}]
    labels = {
        Label.CLUSTER: place.mark,
        Label.APP: "bench",
        Label.ENVIRONMENT: "dev",
        Label.RELEASE: "v1",
        Label.PORTS: json.dumps(port),
        Label.HEALTH: json.dumps({"probe": "http", "path": "/", "port": "web", "interval_seconds": 5}),
        f"traefik.http.services.{service}.loadbalancer.server.port": "8000",
        f"traefik.http.routers.{service}.rule": f"Host(`{service}`)",
    }
    host = {"PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}, "Init": True}
    body = {"Image": small.IMAGE, "Cmd": [SCRIPT], "Labels": labels, "HostConfig": host, **(more or {})}
    name = f"{place.mark}-{service}"
    await containers.create(place.engine, body, name=name)
    return name


async def _delays(place: Place, names: list[str]) -> tuple[float, float]:
    """Median seconds from start event to end of a program that does nothing: by itself, and behind `/.pier/init`."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for number in range(24):
        behind = bool(number % 2)
        program = ["/bin/busybox", "true"]
        mount = f"{place.folder}/agent/dot_pier:{dot_pier.TARGET}:ro"
        more = {
            "Entrypoint": [dot_pier.INIT] if behind else program[:1],
            "Cmd": dot_pier.arguments(program, {}) if behind else program[1:],
            "HostConfig": {"Binds": [mount], "Init": True, "PortBindings": {"8000/tcp": [{"HostPort": "0"}]}},
        }
        name = await _container(place, f"delay-{number}", more)
        names.append(name)
        async with events.watch(place.engine, {"event": ["start", "die"], "container": [name]}) as seen:
            await containers.start(place.engine, name)
            begin, end = await anext(seen), await anext(seen)
        found[behind].append((end.at - begin.at).total_seconds())
    return statistics.median(found[False]), statistics.median(found[True])


def _agent(place: Place, url: str) -> Sequence[str]:
    told = ("--engine", SOCKET, "--catalog", url, "--advertise", "127.0.0.1", "--cluster", place.mark)
    return (*PIER, "agent", *told, "--data", str(place.folder / "agent"), "--node-name", place.mark)


def _traefik(place: Place, api: int) -> Sequence[str]:
    return (
        f"--entrypoints.traefik.address=127.0.0.1:{api}",
        "--api.insecure=true",
        "--providers.docker=true",
        f"--providers.docker.endpoint={SOCKET}",
        f"--providers.docker.constraints=Label(`{Label.CLUSTER}`,`{place.mark}`)",
        "--global.sendanonymoususage=false",
        "--global.checknewversion=false",
        "--log.level=ERROR",
    )


@contextlib.asynccontextmanager
async def _catalog(folder: Path) -> AsyncIterator[str]:
    """The embedded one, in a process of its own."""
    port = ports.free(1)[0]
    async with _program(*PIER, "catalog", "--listen", f"127.0.0.1:{port}", "--data", str(folder / "catalog")):
        async with Consul(f"http://127.0.0.1:{port}") as consul:
            await _until(lambda: _answers(consul), 120)
        yield f"http://127.0.0.1:{port}"


async def _answers(consul: Consul) -> bool:
    with contextlib.suppress(errors.PierError):
        await health.service(consul, "none")
        return True
    return False


@contextlib.asynccontextmanager
async def _program(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def _until(true: Callable[[], Awaitable[bool]], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not await true():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        await asyncio.sleep(0.002)


def _cpu(pid: int) -> float:
    """Seconds of processor time that it has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


def _print(count: int, ours: Figures, theirs: Figures | None, delays: tuple[float, float]) -> None:
    rows: list[tuple[str, Callable[[Figures], float], str]] = [
        ("start event → known, p50", lambda one: statistics.median(one.starts) * 1000, "ms"),
        ("start event → known, p99", lambda one: one.starts[int(len(one.starts) * 0.99)] * 1000, "ms"),
        (f"steady, {count} containers: processor", lambda one: one.cpu * 100, "% of a core"),
        (f"steady, {count} containers: memory", lambda one: one.rss_bytes / (1 << 20), "MiB"),
    ]
    print(f"{'':<42} {'agent':>10} {'traefik':>10} {'ratio':>8}")
    for name, value, unit in rows:
        mine, other = value(ours), value(theirs) if theirs else None
        ratio = f"{mine / other:>8.2f}" if other else f"{'-':>8}"
        shown = f"{other:>10.1f}" if other is not None else f"{'-':>10}"
        print(f"{name:<42} {mine:>10.1f} {shown} {ratio}  {unit}")
    alone, behind = (one * 1000 for one in delays)
    name = "a program that ends (behind init; alone)"
    print(f"{name:<42} {behind:>10.1f} {alone:>10.1f} {behind / alone:>8.2f}  ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", type=int, default=200)
    parser.add_argument("--starts", type=int, default=50)
    chosen = parser.parse_args()
    asyncio.run(main(chosen.containers, chosen.starts))
