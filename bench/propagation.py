"""From docker's `start` event to the first request answered, through the gateway beside Traefik's docker provider.

    uv run --group peers python bench/propagation.py [--starts 15]

Both are there at once, for the same containers of one engine and the same events, and are asked alike, every few
milliseconds, until the new container itself has answered. Ours is the three commands: catalog, agent, gateway.

Known: one more container of a service that both route to already. New: the first container of a service that nobody has
heard of; its labels (SERVICE_ROUTE, a Traefik rule) bring the route.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from pierhead.kit import errors
from pierhead.testing import peers, ports, small
from pierhead.wire.docker import containers, events
from pierhead.wire.docker.client import Engine

SOCKET = os.environ.get("PIER_ENGINE_SOCKET", "unix:///var/run/docker.sock")
PIER = (sys.executable, "-c", "from pierhead.cli.main import main; main()")
OURS, THEIRS = "pierhead", "traefik"
KNOWN, NEW = "known service", "new service"
MARK = "pier-bench"
_LOOK_SECONDS = 0.004
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Place:
    engine: Engine
    session: aiohttp.ClientSession
    mark: str
    doors: Mapping[str, int]
    """Who routes → its port for HTTP."""
    names: list[str] = field(default_factory=list)
    """Containers that were made."""


async def main(starts: int) -> None:
    mark = f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="pier-bench-") as folder:
        async with Engine(SOCKET) as engine, aiohttp.ClientSession() as session, _doors(Path(folder), mark) as doors:
            place = Place(engine, session, mark, doors)
            await small.image(engine)
            try:
                first = await _container(place, KNOWN)
                await containers.start(engine, first)
                await asyncio.gather(*(_answered(place, door, KNOWN, first) for door in doors))  # noqa: TID251
                rounds = [(kind, number) for number in range(starts) for kind in (KNOWN, NEW)]
                found = {(kind, number): await _round(place, kind, number) for kind, number in rounds}
                _print(starts, {kind: [found[kind, n] for n in range(starts)] for kind in (KNOWN, NEW)})
            finally:
                for name in place.names:
                    with contextlib.suppress(errors.NotFound):
                        await containers.remove(engine, name, force=True)


async def _round(place: Place, kind: str, number: int) -> dict[str, float]:
    """Who routes → the seconds from one container's start event until it answered there."""
    service = KNOWN if kind == KNOWN else f"new-{number}"
    name = await _container(place, service)
    async with events.watch(place.engine, {"event": ["start"], "container": [name]}) as seen:
        waiting = {
            door: asyncio.ensure_future(_answered(place, door, service, name))  # noqa: TID251
            for door in place.doors
        }
        await containers.start(place.engine, name)
        begin = (await anext(seen)).at.timestamp()
        took = {door: await answered - begin for door, answered in waiting.items()}
    await containers.remove(place.engine, name, force=True)
    return took


async def _answered(place: Place, door: str, service: str, name: str) -> float:
    """When that container had answered a request there."""
    url, end = f"http://127.0.0.1:{place.doors[door]}/", time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with place.session.get(url, headers={"Host": _host(place, service)}) as response:
                if response.status == 200 and (await response.text()).strip() == name:
                    return time.time()
        await asyncio.sleep(_LOOK_SECONDS)
    raise SystemExit(f"{door} does not lead to {name} after {_PATIENCE_SECONDS} s")


def _host(place: Place, service: str) -> str:
    return f"{_slug(service)}.{place.mark}.localhost"


def _slug(service: str) -> str:
    return service.replace(" ", "-")


async def _container(place: Place, service: str) -> str:
    """The name of one that exists, does not run, and will answer with its name."""
    name, own = f"{place.mark}-{len(place.names)}", f"{_slug(service)}-{place.mark}"
    place.names.append(name)
    labels = {
        "SERVICE_NAME": own,
        "SERVICE_ROUTE": f"{_host(place, service)}/",
        MARK: place.mark,
        f"traefik.http.services.{own}.loadbalancer.server.port": "8000",
        f"traefik.http.routers.{own}.rule": f"Host(`{_host(place, service)}`)",
    }
    script = f"echo {name} > /www/index.html; exec busybox httpd -f -p 8000 -h /www"
    host = {"PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}, "Init": True}
    body = {"Image": small.IMAGE, "Cmd": [script], "Labels": labels, "HostConfig": host}
    await containers.create(place.engine, body, name=name)
    return name


@contextlib.asynccontextmanager
async def _doors(folder: Path, mark: str) -> AsyncIterator[Mapping[str, int]]:
    catalog, admin, ours, theirs = ports.free(4)
    url = f"http://127.0.0.1:{catalog}"
    told = ("--engine", SOCKET, "--catalog", url, "--advertise", "127.0.0.1", "--cluster", mark)
    addresses = ("--http", f"127.0.0.1:{ours}", "--admin", f"127.0.0.1:{admin}", "--no-keep")
    async with (
        _program(*PIER, "catalog", "--listen", f"127.0.0.1:{catalog}", "--data", str(folder / "catalog")),
        _program(*PIER, "agent", *told, "--data", str(folder / "agent"), "--node-name", mark),
        _program(*PIER, "gateway", "--catalog", url, *addresses, "--data", str(folder / "gateway")),
        _program(str(peers.program("traefik")), *_traefik(theirs, mark)),
    ):
        yield {OURS: ours, THEIRS: theirs}


def _traefik(port: int, mark: str) -> Sequence[str]:
    return (
        f"--entrypoints.web.address=127.0.0.1:{port}",
        "--providers.docker=true",
        f"--providers.docker.endpoint={SOCKET}",
        f"--providers.docker.constraints=Label(`{MARK}`,`{mark}`)",
        "--global.sendanonymoususage=false",
        "--global.checknewversion=false",
        "--log.level=ERROR",
    )


@contextlib.asynccontextmanager
async def _program(*command: str) -> AsyncIterator[None]:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


def _print(starts: int, found: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{starts} starts each, load {load}; HAProxy and Traefik asked every {_LOOK_SECONDS * 1000:.0f} ms\n")
    print(f"{'start event → first answer':<28} {OURS:>10} {THEIRS:>10} {'ours/theirs':>12}")
    for kind, rounds in found.items():
        for what, share in (("p50", 0.5), ("p99", 0.99)):
            mine, other = (_quantile([one[door] for one in rounds], share) * 1000 for door in (OURS, THEIRS))
            print(f"{f'{kind}, {what}':<28} {mine:>7.0f} ms {other:>7.0f} ms {mine / other:>12.3f}")


def _quantile(values: Sequence[float], share: float) -> float:
    """With fewer than a hundred values the 99th percentile is the largest."""
    if share == 0.5:
        return statistics.median(values)
    return sorted(values)[math.ceil(len(values) * share) - 1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=15)
    asyncio.run(main(parser.parse_args().starts))
