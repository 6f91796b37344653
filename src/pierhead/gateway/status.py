"""The status API: what this gateway serves, as HAProxy itself reports it at this moment.

Source of a server's state and of its open requests is always HAProxy, every worker that still has some included,
because whoever drains waits on it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

import aiohttp
from aiohttp import web

import pierhead
from pierhead.gateway import explain, listing, metrics, plan, slots
from pierhead.gateway.apply import Proxy
from pierhead.gateway.frame import CONFIG
from pierhead.gateway.known import Known
from pierhead.gateway.layout import Mode, Pool, Server
from pierhead.kit import clock, errors
from pierhead.model.instance import Endpoint, State
from pierhead.wire.haproxy import master, records, worker

STATES = {Mode.READY: "ready", Mode.DRAIN: "draining", Mode.MAINT: "down"}
PATIENCE = timedelta(seconds=2.5)
"""For a master that is just about a reload. Whoever asks waits for three seconds."""
LOOK_SECONDS = 0.02
_ORDER = ("ready", "draining", "down")


@dataclass(frozen=True, slots=True)
class Seen:
    """One endpoint as HAProxy has it."""

    id: str
    address: str
    port: int
    release: str
    state: str
    weight: int
    requests: int
    failed: int = 0
    """Connections to it that did not come about, and answers that were none, since the last reload."""
    error: str = ""
    """What its worst check said last, where it is not well."""


async def serve(proxy: Proxy, known: Known) -> web.AppRunner:
    """The API answers at the admin address until the runner is cleaned up. Raises: Conflict (the port is taken)."""
    app = web.Application()
    app.add_routes([web.get("/v1/status", _Status(proxy, known).answer)])
    app.add_routes([web.get("/v1/services/{name}", _Service(proxy).answer)])
    app.add_routes([web.get("/v1/routes", _Routes(proxy, known).answer)])
    app.add_routes([web.get("/v1/config", _Config(proxy, known).answer)])
    told = _Metrics(proxy, known)
    app.add_routes([web.get("/metrics", told.answer), web.get("/metrics/haproxy", told.exported)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, port = proxy.options.admin_host, proxy.options.admin_port
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise errors.Conflict(
            f"The gateway's status API cannot listen on {host}:{port}: {error.strerror}",
            hint="Choose another port: the setting gateway.admin_port.",
        ) from error
    return runner


async def overview(proxy: Proxy, known: Known) -> dict[str, object]:
    """The body of `/v1/status`."""
    processes = await _processes(proxy)
    problems = [{"route": problem.route, "reason": problem.reason} for problem in proxy.problems]
    problems += [
        {"route": service, "reason": f"most of its endpoints vanished at once; kept until {clock.text(until)}"}
        for service, until in known.held.items()
    ]
    if proxy.is_stuck:
        problems.append({"route": "", "reason": f"new routes wait for a reload: {proxy.waiting}"})
    if proxy.failure:
        problems.append({"route": "", "reason": proxy.failure})
    return {
        "name": proxy.options.name,
        "version": pierhead.__version__,
        "state": _state(proxy, known, problems),
        "catalog": {
            "state": "live" if known.is_live else "unknown",
            "since": clock.text(known.since),
            "index": proxy.index,
        },
        "http": f"{proxy.options.host}:{proxy.options.http_port}",
        "haproxy": {
            "version": proxy.version,
            "pid": processes.master if processes else 0,
            "reloads": proxy.reloads,
            "repairs": proxy.repairs,
            "pending": proxy.waiting,
            "old_workers": len(processes.old) if processes else 0,
            "workers": (1 if processes.worker else 0) + len(processes.old) if processes else 0,
        },
        "routes": len(known.snapshot.routes),
        "services": len(known.snapshot.services),
        "problems": problems,
        "access_log": await _access_log(proxy),
    }


async def _access_log(proxy: Proxy) -> dict[str, object] | None:
    """None: requests are not logged."""
    if proxy.access is None:
        return None
    try:
        unsent: int | None = (await worker.info(proxy.frame.worker)).dropped_logs
    except errors.Unavailable:
        unsent = None  # unknown
    o = proxy.options
    places = {"file": str(o.access_log or ""), "syslog": o.access_syslog}
    return {**places, **asdict(proxy.access.count), "dropped_by_haproxy": unsent}


async def servers(proxy: Proxy, service: str) -> list[Seen] | None:
    """Every endpoint of a service in the order of their ids; None when no route leads to it. What went to them is
    counted.

    Raises: Unavailable (what HAProxy does cannot be known).
    """
    end = clock.now() + PATIENCE
    while True:
        try:
            return await _servers(proxy, service)
        except errors.Unavailable:  # during a reload the master does not answer
            if clock.now() > end:
                raise
        await asyncio.sleep(LOOK_SECONDS)


async def _servers(proxy: Proxy, service: str) -> list[Seen] | None:
    pools = [proxy.layout.pools[name] for name in proxy.layout.draft.pools_of.get(service, ())]
    if not pools:
        return None
    processes = await _processes(proxy)
    found: dict[str, Seen] = {}
    for pool in sorted(pools, key=lambda pool: bool(pool.release)):
        for seen in await _pool(proxy, pool, processes):
            found[seen.id] = _joined(found[seen.id], seen, pool) if seen.id in found else seen
    proxy.reader.meter.keep((processes.worker, *processes.old) if processes else ())
    return [found[id_] for id_ in sorted(found)]


async def _pool(proxy: Proxy, pool: Pool, processes: records.Processes | None) -> list[Seen]:
    """Every worker is asked by its pid, so that a reload meanwhile hides none."""
    socket, backend, meter = proxy.frame.master, proxy.homes.backend(pool.name), proxy.reader.meter
    actual: Sequence[records.Server] = ()
    loads: list[records.Load] = []
    if processes and processes.worker:
        actual = await master.servers(socket, processes.worker, [backend])
        loads += await master.loads(socket, processes.worker, [backend])
        meter.read(pool, processes.worker, loads)
    for pid in processes.old if processes else ():
        said = await master.loads(socket, pid, proxy.homes.everywhere(pool.name))
        meter.read(pool, pid, said)
        loads += said
    by_name = {server.name: server for server in actual}
    sums: dict[str, tuple[int, int]] = {}
    for load in loads:
        requests, failed = sums.get(load.address, (0, 0))
        sums[load.address] = (requests + load.requests, failed + load.failed)
    return [_seen(server, endpoint, by_name, sums) for server in pool.servers for endpoint in server.endpoints]


def _seen(
    server: Server, endpoint: Endpoint, by_name: Mapping[str, records.Server], sums: Mapping[str, tuple[int, int]]
) -> Seen:
    actual = by_name.get(server.name)
    key = (endpoint.address, endpoint.port)
    is_there = actual is not None and (actual.address, actual.port) == key
    return Seen(
        id=endpoint.id,
        address=endpoint.address,
        port=endpoint.port,
        release=endpoint.release,
        state=STATES[plan.mode(actual)] if actual and is_there else "down",
        weight=actual.weight if actual and is_there else 0,
        requests=sums.get(slots.address(key), (0, 0))[0],
        failed=sums.get(slots.address(key), (0, 0))[1],
        error=endpoint.output if endpoint.state == State.UNHEALTHY else "",
    )


def _joined(one: Seen, other: Seen, pool: Pool) -> Seen:
    """One endpoint in two pools: it gets requests when one of them sends some. A pool of one release alone is a
    preview, and says nothing of what the service's own requests do."""
    if pool.release:
        return replace(one, requests=one.requests + other.requests)
    state = min(one.state, other.state, key=_ORDER.index)
    return replace(one, state=state, requests=one.requests + other.requests)


async def _processes(proxy: Proxy) -> records.Processes | None:
    """None: there is no HAProxy. Raises: Unavailable (there is one, but what it does cannot be known)."""
    end = clock.now() + PATIENCE
    while proxy.process is not None:
        try:
            return await master.processes(proxy.frame.master)
        except errors.Unavailable:  # during a reload the master does not answer
            if clock.now() > end:
                raise
        await asyncio.sleep(LOOK_SECONDS)
    return None


def _state(proxy: Proxy, known: Known, problems: Sequence[object]) -> str:
    if not proxy.has_followed:
        return "starting"
    return "ready" if known.is_live and not problems else "degraded"


@dataclass(frozen=True)
class _Status:
    proxy: Proxy
    known: Known

    async def answer(self, _: web.Request) -> web.Response:
        try:
            return _json(await overview(self.proxy, self.known))
        except errors.Unavailable as error:
            return _json({"error": error.message}, status=503)


@dataclass(frozen=True)
class _Service:
    proxy: Proxy

    async def answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            found = await servers(self.proxy, name)
        except errors.Unavailable as error:
            return _json({"error": error.message}, status=503)
        if found is None:
            return _json({"error": f"no route leads to a service {name}"}, status=404)
        listed = [{field: getattr(seen, field) for field in Seen.__dataclass_fields__} for seen in found]
        counted = {release: asdict(count) for release, count in self.proxy.reader.meter.of(name).items()}
        return _json({"service": name, "index": self.proxy.index, "servers": listed, "releases": counted})


@dataclass(frozen=True)
class _Routes:
    proxy: Proxy
    known: Known

    async def answer(self, _: web.Request) -> web.Response:
        found = listing.listing(self.known.snapshot, self.proxy.layout)
        return _json({"index": self.proxy.index, "routes": [asdict(one) for one in found]})


@dataclass(frozen=True)
class _Config:
    proxy: Proxy
    known: Known

    async def answer(self, _: web.Request) -> web.Response:
        """What HAProxy has read, and why; keys of certificates are in files of their own and never part of it."""
        proxy, known = self.proxy, self.known
        try:
            text = await asyncio.to_thread((proxy.frame.folder / CONFIG).read_text)
        except OSError as error:
            return _json({"error": f"nothing is rendered yet: {error}"}, status=503)
        homes, maps = dict(proxy.homes.of), {name: dict(entries) for name, entries in proxy.maps.items()}
        running = explain.Running(
            text, maps, proxy.layout, replace(proxy.homes, of=homes, used=set(proxy.homes.used)), proxy.loaded
        )
        found = await asyncio.to_thread(explain.explain, running, known.snapshot)
        pending = [*_pending(proxy, known), *found.pending]
        about = {"name": proxy.options.name, "index": proxy.index, "is_loaded": running.is_loaded}
        body = {**asdict(found), **about, "pending": pending, "config": text}
        return web.Response(text=await asyncio.to_thread(json.dumps, body), content_type="application/json")


def _pending(proxy: Proxy, known: Known) -> list[str]:
    """What HAProxy has yet to be told, besides single routes."""
    told = [f"a reload: {proxy.waiting}"] if proxy.waiting else []
    told += [f"HAProxy does not follow: {proxy.failure}"] if proxy.failure else []
    if known.snapshot.index != proxy.index:
        told.append(f"the catalog's index {known.snapshot.index}: {proxy.index} is carried out")
    held = known.held.items()
    return told + [f"most of {one} vanished at once; it is kept until {clock.text(until)}" for one, until in held]


@dataclass(frozen=True)
class _Metrics:
    proxy: Proxy
    known: Known

    async def exported(self, request: web.Request) -> web.Response:
        """HAProxy's own exporter as it is, with its own parameters."""
        try:
            return web.Response(text=await self._asked(request.query_string), content_type="text/plain")
        except errors.Unavailable as error:
            return _json({"error": error.message}, status=503)

    async def answer(self, _: web.Request) -> web.Response:
        """HAProxy's metrics, less those of empty slots, and the controller's, as Prometheus reads them."""
        proxy, layout, homes = self.proxy, self.proxy.layout, dict(self.proxy.homes.of)
        try:
            await proxy.reader.read(layout, proxy.homes)
            told = await self._asked("scope=global&scope=frontend&scope=backend&scope=server&no-maint")
        except errors.Unavailable as error:
            return _json({"error": error.message}, status=503)
        numbers = metrics.Numbers(
            reloads=proxy.reloads,
            repairs=proxy.repairs,
            changes=proxy.changes,
            seconds=proxy.seconds,
            old_workers=proxy.old_workers,
            problems=len(proxy.problems),
            index=proxy.index,
            is_live=self.known.is_live,
        )
        counted = metrics.Counted(dict(proxy.reader.meter.counts), list(self.known.snapshot.all_routes))
        text = await asyncio.to_thread(metrics.text, told, numbers, layout, homes, counted)
        return web.Response(text=text, content_type="text/plain")

    async def _asked(self, query: str) -> str:
        connector = aiohttp.UnixConnector(path=str(self.proxy.frame.metrics))
        url = f"http://haproxy/metrics?{query}"
        try:
            async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as got:
                return await got.text()
        except (aiohttp.ClientError, OSError) as error:
            raise errors.Unavailable(f"HAProxy does not answer: {error}") from error


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(value), content_type="application/json", status=status)
