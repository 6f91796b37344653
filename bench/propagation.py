"""From docker's `start` event to a gateway that sends traffic and the first answer, beside Traefik's docker provider.

    uv run --group peers python bench/propagation.py [--starts 15] [--probe]

Both are there at once, for the same containers of one engine and the same events, and are asked alike, every few
milliseconds, until the new container itself has answered. Ours is the three commands: catalog, agent, gateway.

Containers are published at this machine's own address, as for others: on loopback the engine's own proxy would hold a
connection that comes before the app listens for up to a second.

What the app itself takes is told apart: it is asked at its own port too, and the moments are looked at separately when
the catalog shows the endpoint and when HAProxy shows a server that is ready. A request of the new service can be
answered no sooner than the app listens, whoever leads there.

Known: one more container of a service that both route to already; every second question goes to the other server. New:
the first container of a service that nobody has heard of; its labels (SERVICE_ROUTE, a Traefik rule) bring the route.
Without `--probe` a container has no check and counts as well from its start event on, so that the app's start is in
none of ours; with it nobody is sent there before the app listens, as with what `pier deploy` starts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import socket
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
from pierhead.wire.haproxy import worker

SOCKET = os.environ.get("PIER_ENGINE_SOCKET", "unix:///var/run/docker.sock")
PIER = (sys.executable, "-c", "from pierhead.cli.main import main; main()")
OURS, THEIRS = "pierhead", "traefik"
KNOWN, NEW = "known service", "new service"
MARK = "pier-bench"
LISTENS, CATALOG, SENDS = "the app listens", "the catalog shows it", "HAProxy sends there"
SHARES = (0.5, 0.99)
_LOOK_SECONDS = 0.004
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class App:
    """A container that exists, does not run, and will answer with its name."""

    name: str
    service: str
    port: int
    """Of the host."""


@dataclass(frozen=True, slots=True)
class Place:
    engine: Engine
    session: aiohttp.ClientSession
    mark: str
    doors: Mapping[str, int]
    """Who routes → its port for HTTP."""
    catalog: str
    worker: Path
    """HAProxy's socket."""
    is_probed: bool
    names: list[str] = field(default_factory=list)
    """Containers that were made."""


async def main(starts: int, *, is_probed: bool) -> None:
    mark = f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="pier-bench-") as text:
        folder = Path(text)
        async with Engine(SOCKET) as engine, aiohttp.ClientSession() as session, _doors(folder, mark) as (doors, url):
            place = Place(engine, session, mark, doors, url, folder / "gateway" / "run" / "worker.sock", is_probed)
            await small.image(engine)
            try:
                first = await _container(place, KNOWN)
                await containers.start(engine, first.name)
                await asyncio.gather(*(_answered(place, door, first) for door in doors))  # noqa: TID251
                rounds = [(kind, number) for number in range(starts) for kind in (KNOWN, NEW)]
                found = {(kind, number): await _round(place, kind, number) for kind, number in rounds}
                _print(starts, {kind: [found[kind, n] for n in range(starts)] for kind in (KNOWN, NEW)})
            finally:
                for name in place.names:
                    with contextlib.suppress(errors.NotFound):
                        await containers.remove(engine, name, force=True)


async def _round(place: Place, kind: str, number: int) -> dict[str, float]:
    """What happened → the seconds from one container's start event until then; of who routes: its first answer."""
    app = await _container(place, KNOWN if kind == KNOWN else f"new-{number}")
    async with events.watch(place.engine, {"event": ["start"], "container": [app.name]}) as seen:
        moments = {door: _answered(place, door, app) for door in place.doors}
        moments |= {LISTENS: _listens(place, app), CATALOG: _known(place, app), SENDS: _sends(place, app)}
        waiting = {what: asyncio.ensure_future(moment) for what, moment in moments.items()}  # noqa: TID251
        await containers.start(place.engine, app.name)
        begin = (await anext(seen)).at.timestamp()
        took = {what: await moment - begin for what, moment in waiting.items()}
    await containers.remove(place.engine, app.name, force=True)
    return took


async def _listens(place: Place, app: App) -> float:
    """When it had answered at its own port. A question that hangs, because it came too early, holds up no other."""
    asked: set[asyncio.Task[bool]] = set()
    try:
        while not any(one.done() and one.result() for one in asked):
            another = asyncio.ensure_future(_is_there(place, app, app.port, _address()))  # noqa: TID251
            asked = {one for one in asked if not one.done()} | {another}
            await asyncio.wait(asked, timeout=_LOOK_SECONDS)
        return time.time()
    finally:
        for one in asked:
            one.cancel()


async def _answered(place: Place, door: str, app: App) -> float:
    """When that container had answered a request there."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        if await _is_there(place, app, place.doors[door]):
            return time.time()
        await asyncio.sleep(_LOOK_SECONDS)
    raise SystemExit(f"{door} does not lead to {app.name} after {_PATIENCE_SECONDS} s")


async def _is_there(place: Place, app: App, port: int, address: str = "127.0.0.1") -> bool:
    """The container has answered a request there."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        headers = {"Host": _host(place, app.service)}
        async with place.session.get(f"http://{address}:{port}/", headers=headers) as response:
            return response.status == 200 and (await response.text()).strip() == app.name
    return False


async def _known(place: Place, app: App) -> float:
    """When the catalog had told a watcher of it as healthy."""
    url, index = f"{place.catalog}/v1/health/service/{_own(place, app.service)}", "0"
    while True:
        query = {"passing": "1", "index": index, "wait": f"{_PATIENCE_SECONDS}s"}
        async with place.session.get(url, params=query) as response:
            found, index = await response.json(), response.headers["X-Consul-Index"]
        if any(one["Service"]["Port"] == app.port for one in found):
            return time.time()


async def _sends(place: Place, app: App) -> float:
    """When HAProxy had a server that is ready at its address."""
    while True:
        if f" {app.port} " in await worker.servers_text(place.worker):  # to read every server takes longer
            for server in await worker.servers(place.worker):
                if server.port == app.port and not server.in_maintenance and not server.is_draining:
                    return time.time()
        await asyncio.sleep(_LOOK_SECONDS)


def _address() -> str:
    """This machine's, as others reach it; loopback where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(asked.getsockname()[0])


def _host(place: Place, service: str) -> str:
    return f"{_slug(service)}.{place.mark}.localhost"


def _slug(service: str) -> str:
    return service.replace(" ", "-")


def _own(place: Place, service: str) -> str:
    """As the catalog has it."""
    return f"{_slug(service)}-{place.mark}"


async def _container(place: Place, service: str) -> App:
    name, own, port = f"{place.mark}-{len(place.names)}", _own(place, service), ports.free_port()
    place.names.append(name)
    labels = {
        "SERVICE_NAME": own,
        "SERVICE_ROUTE": f"{_host(place, service)}/",
        MARK: place.mark,
        f"traefik.http.services.{own}.loadbalancer.server.port": "8000",
        f"traefik.http.routers.{own}.rule": f"Host(`{_host(place, service)}`)",
    }
    labels |= {"SERVICE_CHECK_TCP": "true", "SERVICE_CHECK_INTERVAL": "5s"} if place.is_probed else {}
    script = f"echo {name} > /www/index.html; exec busybox httpd -f -p 8000 -h /www"
    host = {"PortBindings": {"8000/tcp": [{"HostIp": _address(), "HostPort": str(port)}]}, "Init": True}
    body = {"Image": small.IMAGE, "Cmd": [script], "Labels": labels, "HostConfig": host}
    await containers.create(place.engine, body, name=name)
    return App(name, service, port)


@contextlib.asynccontextmanager
async def _doors(folder: Path, mark: str) -> AsyncIterator[tuple[Mapping[str, int], str]]:
    catalog, admin, ours, theirs = ports.free(4)
    url = f"http://127.0.0.1:{catalog}"
    told = ("--engine", SOCKET, "--catalog", url, "--advertise", _address(), "--cluster", mark)
    addresses = ("--http", f"127.0.0.1:{ours}", "--admin", f"127.0.0.1:{admin}", "--no-keep")
    async with (
        _program(*PIER, "catalog", "--listen", f"127.0.0.1:{catalog}", "--data", str(folder / "catalog")),
        _program(*PIER, "agent", *told, "--data", str(folder / "agent"), "--node-name", mark),
        _program(*PIER, "gateway", "--catalog", url, *addresses, "--data", str(folder / "gateway")),
        _program(str(peers.program("traefik")), *_traefik(theirs, mark)),
    ):
        yield {OURS: ours, THEIRS: theirs}, url


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
    print(f"{starts} starts each, load {load}; all is looked at every {_LOOK_SECONDS * 1000:.0f} ms")
    for kind, rounds in found.items():
        print(f"\n{kind}, from the start event until{'p50':>22} {'p99':>11}")
        for what in (LISTENS, CATALOG, SENDS):
            _row(what, [one[what] for one in rounds])
        for door in (OURS, THEIRS):
            _row(f"the first answer by {door}", [one[door] for one in rounds])
        _row("… since the app listened", [one[OURS] - one[LISTENS] for one in rounds])
        ratios = (
            _quantile([one[OURS] for one in rounds], s) / _quantile([one[THEIRS] for one in rounds], s) for s in SHARES
        )
        print(f"  {'ours / theirs':<40} {next(ratios):>10.3f}  {next(ratios):>10.3f}")


def _row(what: str, seconds: Sequence[float]) -> None:
    middle, tail = (_quantile(seconds, share) * 1000 for share in SHARES)
    print(f"  {what:<40} {middle:>7.0f} ms  {tail:>7.0f} ms")


def _quantile(values: Sequence[float], share: float) -> float:
    """With fewer than a hundred values the 99th percentile is the largest."""
    if share == 0.5:
        return statistics.median(values)
    return sorted(values)[math.ceil(len(values) * share) - 1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=15)
    parser.add_argument("--probe", action="store_true")
    options = parser.parse_args()
    asyncio.run(main(options.starts, is_probed=options.probe))
