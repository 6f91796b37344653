"""Brings HAProxy to what the catalog says: by commands while it runs, or by one reload. The only writer.

What HAProxy has is read from it, before and after; the truth is never what was wished.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic

from pierhead.gateway import haproxy, layout, loaded, plan, pool, render, slots
from pierhead.gateway.access import AccessLog
from pierhead.gateway.layout import Drawn, Layout, Mode, Pool, Problem
from pierhead.gateway.loaded import Homes, Loaded, Records
from pierhead.gateway.options import Options
from pierhead.gateway.snapshot import Snapshot
from pierhead.kit import clock, errors, files
from pierhead.kit.process import Process
from pierhead.model.step import Plan
from pierhead.wire.haproxy import master, records, worker

log = logging.getLogger(__name__)

RELOAD_INTERVAL = timedelta(seconds=1)
"""Between two reloads; what comes meanwhile is one."""
REFILL_INTERVAL = timedelta(minutes=1)
"""Between two reloads that only bring new spare backends."""
OLD_WORKERS = 8
"""With so many workers that still finish their connections there is no reload: each holds memory."""
LOOK_POOLS = 64
"""Pools that are read at a time when nothing changes."""
ADDS_SERVERS = (3, 0)
"""The first HAProxy in which servers that were added at runtime are whole ones."""


class Proxy:
    """One HAProxy as it is now. Used by one task at a time; others only read."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.frame = haproxy.frame(options)
        self.access = AccessLog.of(options)
        self.process: Process | None = None
        self.started = asyncio.Event()
        """Set while there is a process."""
        self.layout = Layout()
        """What was carried out last."""
        self.aim = Layout()
        """What is being carried out, or was last: whoever answers a request already is in it."""
        self.homes = Homes()
        self.loaded = Loaded()
        self.has_followed = False
        """It was carried out at least once: before that nothing can be said of any service."""
        self.reloads = 0
        self.repairs = 0
        """How often HAProxy was found to be other than it had been left."""
        self.changes = 0
        self.seconds = 0.0
        """What all changes together took."""
        self.version = ""
        self.failure = ""
        """Why HAProxy does not follow; empty: it does."""
        self.waiting = ""
        """What a reload that has yet to come brings, and why it waits; empty: none is needed."""
        self.index = 0
        """The catalog's index that is carried out."""
        self._drawn: Drawn | None = None
        self._actual: dict[str, dict[str, records.Server]] = {}
        self._maps: dict[str, Mapping[str, str]] = {}
        self._shall: tuple[object, object, object, dict[str, dict[str, str]]] | None = None
        """The maps as they are to be, after what they follow from."""
        self._blocked: dict[int, str] = {}
        self._texts: render.Texts = {}
        self._head: tuple[object, object, str] = (None, None, "")
        self._records = Records(options.data / "loaded")
        self._pid = 0
        self._old: tuple[int, ...] = ()
        self._reloaded_at = clock.now() - REFILL_INTERVAL
        self._next_look = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.layout.problems

    @property
    def maps(self) -> Mapping[str, Mapping[str, str]]:
        """File → key → where it leads, as HAProxy had it when it was last read."""
        return self._maps

    @property
    def old_workers(self) -> int:
        """Workers that only finished what they had when they were last asked for."""
        return len(self._old)

    @property
    def due(self) -> datetime:
        """When a reload may come at the earliest."""
        return self._reloaded_at + RELOAD_INTERVAL

    @property
    def is_stuck(self) -> bool:
        """A reload is needed and does not come by itself soon."""
        return bool(self.waiting) and len(self._old) >= OLD_WORKERS

    def lost(self) -> None:
        """The process ended; the next `follow` starts it again."""
        self.process = None
        self.started.clear()

    def forget(self) -> None:
        """Nothing that was read from HAProxy is believed any more: the next `follow` looks at everything."""
        self._drawn = None

    async def follow(self, snapshot: Snapshot) -> None:
        """HAProxy serves what `snapshot` says. Raises: PierError; then nothing is certain, so `forget` and repeat."""
        begin = monotonic()
        if self.process is None:
            await self._raise(snapshot)
        elif self._drawn is None:
            await self._look(snapshot)
        if await self._carry_out(snapshot):
            self.changes += 1
            self.seconds += monotonic() - begin
        self.index, self.has_followed = snapshot.index, True

    async def look(self) -> None:
        """A part of what HAProxy has was read, another one each time, and repaired where somebody else changed it."""
        if self.process is None or self._drawn is None:
            return
        info = await worker.info(self.frame.worker)
        if (info.pid, info.description) != (self._pid, self.loaded.mark):
            log.warning("HAProxy was reloaded by somebody else.", extra={"pid": info.pid})
            self.repairs += 1
            self.forget()
            return
        self._old = (await master.processes(self.frame.master)).old
        wanted = self._drawn.layout
        pools = list(islice(wanted.pools.values(), self._next_look, self._next_look + LOOK_POOLS))
        self._next_look = self._next_look + LOOK_POOLS if pools else 0
        if pools:
            await self._read_back(pools, ())
        else:
            self._maps = await self._all_maps()
        if steps := plan.plan(pools, self._actual, self.homes, self.loaded, self._map_plans(wanted)):
            log.warning("HAProxy was changed by somebody else and is set right.", extra={"plan": str(steps)})
            self.repairs += 1
            await self._command(wanted, pools)

    async def _raise(self, snapshot: Snapshot) -> None:
        """There is a process, with everything known of it: the one that still runs, or a new one."""
        self.process = haproxy.find(self.frame)
        if self.process is None:
            self.loaded, self.homes, self._actual, self._drawn = Loaded(), Homes(), {}, None
            wanted = self._draw(snapshot)
            texts, _ = await self._written(wanted)
            self.process = await haproxy.start(self.options, self.frame, texts)
            log.info("Started HAProxy.", extra={"pid": self.process.pid})
        else:
            log.info("Found HAProxy running.", extra={"pid": self.process.pid})
        self.started.set()
        await self._look(snapshot)

    async def _look(self, snapshot: Snapshot) -> None:
        """What HAProxy has is read from it. What its file declares is known by the mark it carries, or else unknown."""
        info = await worker.info(self.frame.worker)
        self.version, self._pid, self._drawn = info.version, info.pid, None
        told, self.homes = await asyncio.to_thread(self._records.read, info.description)
        self.loaded = replace(told, can_add=_version(info.version) >= ADDS_SERVERS)
        self._old = (await master.processes(self.frame.master)).old
        await self._read_all()
        self._maps = await self._all_maps()
        if not self.loaded.mark:
            ports = [name.removeprefix("port:") for name in await worker.frontends(self.frame.worker) if ":" in name]
            self.loaded = Loaded(ports=tuple(int(port) for port in ports if port.isdecimal()))

    async def _all_maps(self) -> dict[str, Mapping[str, str]]:
        folder = self.frame.folder
        return {name: await worker.entries(self.frame.worker, folder / name) for name in self.loaded.maps}

    async def _read_all(self) -> None:
        text = await worker.servers_text(self.frame.worker)
        self._actual = await asyncio.to_thread(lambda: _by_backend(records.read_servers(text)))

    def _draw(self, snapshot: Snapshot) -> Layout:
        """The layout, without those ports that are new and taken by another program."""
        held = {} if self._drawn else plan.held(self._actual, self.homes)
        wanted = layout.draw(snapshot, held, self._blocked, self._drawn)
        if self._drawn and wanted.draft is self._drawn.layout.draft and not self._blocked:
            return wanted
        free = layout.draw(snapshot, held, {}, self._drawn) if self._blocked else wanted
        fresh = free.structure.ports.keys() - set(self.loaded.ports)
        reasons = {port: haproxy.taken(self.options.host, port) for port in fresh}
        blocked = {port: reason for port, reason in reasons.items() if reason}
        if blocked != self._blocked:
            self._blocked = blocked
            wanted = layout.draw(snapshot, held, blocked, self._drawn)
        return wanted

    async def _carry_out(self, snapshot: Snapshot) -> bool:
        """True when something had to be done."""
        self.aim = wanted = self._draw(snapshot)
        before = self._drawn.layout if self._drawn else Layout()
        changed = [pool for name, pool in wanted.pools.items() if before.pools.get(name) is not pool]
        is_routed_anew = before.draft is not wanted.draft or bool(self.waiting)
        if is_routed_anew:
            await self._settle(wanted)
        checked = wanted.pools if is_routed_anew else {one.name: one for one in changed}
        cause = plan.difference(self.loaded, self._head_of(wanted), checked, self.homes) or self._refill()
        obstacle = self._obstacle() if cause else ""
        self.waiting = f"{cause} ({obstacle})" if obstacle else cause
        if cause and not obstacle:
            await self._reload(wanted, cause, changed)
            self.waiting, is_done = "", True
        else:
            is_done = await self._command(wanted, changed)
        self.layout, self._drawn = wanted, Drawn(snapshot, wanted)
        return is_done

    async def _settle(self, wanted: Layout) -> None:
        """New pools have a spare backend as far as there are any, and this is on disk before anything leads there."""
        gone = [name for name in self.homes.of if name not in wanted.pools]
        for name in gone:
            del self.homes.of[name]
        if self.homes.seat(wanted.pools.values(), self.loaded) or gone:
            await asyncio.to_thread(self._records.write_homes, self.loaded.mark, self.homes)

    def _head_of(self, wanted: Layout) -> str:
        if self._head[0] is not wanted.draft or self._head[1] is not wanted.material:
            self._head = (wanted.draft, wanted.material, render.head(self.frame, wanted))
        return self._head[2]

    def _refill(self) -> str:
        is_time = clock.now() - self._reloaded_at > REFILL_INTERVAL
        return (
            "few spare backends are left"
            if is_time and loaded.free(self.homes, self.loaded) < loaded.FEW_SPARES
            else ""
        )

    def _obstacle(self) -> str:
        """Why there may be no reload now; empty when there may."""
        if len(self._old) >= OLD_WORKERS:
            return f"{len(self._old)} workers still finish what they have, and no more than {OLD_WORKERS} may"
        return "the last reload was just now" if self.loaded.mark and clock.now() < self.due else ""

    async def _written(self, wanted: Layout) -> tuple[dict[str, str], Loaded]:
        """The files' texts, and on disk what they declare."""
        spares = loaded.names(int(clock.now().timestamp() * 1000))
        texts = await asyncio.to_thread(render.files, self.frame, wanted, spares, self._texts)
        sizes = {name: len(found.servers) for name, found in wanted.pools.items()}
        told = Loaded(
            mark=render.mark(texts),
            head=render.head(self.frame, wanted),
            sizes={**sizes, **dict.fromkeys(spares, loaded.SPARE_SLOTS)},
            spares=spares,
            ports=tuple(wanted.structure.ports),
            maps=render.loaded_maps(self.frame, wanted),
            can_add=self.loaded.can_add,
        )
        await asyncio.to_thread(self._records.write, told)
        return texts, told

    async def _reload(self, wanted: Layout, cause: str, changed: Sequence[Pool]) -> None:
        """A worker with `wanted` serves, less what HAProxy refuses. What a file cannot say is said to it afterwards."""
        texts, told = await self._written(wanted)
        await haproxy.reload(self.options, self.frame, texts)
        self.reloads += 1
        self._reloaded_at = clock.now()
        log.info("Reloaded HAProxy.", extra={"plan": f"reload haproxy: {cause}"})
        self.loaded, self._maps = told, {**render.maps(wanted, {})}
        self.homes.moved(is_forgotten=not self._old)
        await asyncio.to_thread(self._records.write_homes, told.mark, self.homes)
        processes = await master.processes(self.frame.master)
        self._pid, self._old = processes.worker, processes.old
        await asyncio.to_thread(self._records.keep_only, told.mark)
        await self._read_all()
        await self._retire(wanted, changed)
        pools = list(wanted.pools.values())
        rest = await asyncio.to_thread(plan.plan, pools, self._actual, self.homes, self.loaded)
        if rest and (drift := await self._send(wanted, rest, _touched(rest, pools, self.homes), ())):
            raise errors.Broken(f"HAProxy does not do as it was told: {drift.steps[0]}")

    async def _command(self, wanted: Layout, changed: Sequence[Pool]) -> bool:
        """The pools that changed, and the maps, are as they are to be. False: nothing had to be done."""
        there = [one for one in changed if self.homes.backend(one.name) in self.loaded.sizes]
        maps = self._map_plans(wanted)
        steps = plan.plan(there, self._actual, self.homes, self.loaded, maps)
        if not steps:
            return False
        if drift := await self._send(wanted, steps, _touched(steps, there, self.homes), maps):
            await self._reload(wanted, f"drift: {drift.steps[0]}", changed)
        return True

    async def _send(self, wanted: Layout, steps: Plan, pools: Sequence[Pool], maps: Sequence[plan.Map]) -> Plan:
        """The steps were sent and HAProxy was asked what it has now. What is still missing is returned."""
        changed = [one for one in maps if not one.is_met_by(one.now)]
        if changed:
            await asyncio.to_thread(_write_maps, changed)
        await self._run(steps)
        log.info("Changed HAProxy.", extra={"plan": str(steps).replace("\n", "; ")})
        await self._retire(wanted, pools)
        await self._read_back(pools, changed)
        return plan.plan(pools, self._actual, self.homes, self.loaded, self._map_plans(wanted))

    async def _run(self, steps: Plan) -> None:
        commands: list[str] = []
        for step in steps.steps:
            if step.kind != plan.REPLACE:
                commands.extend(step.data)
                continue
            await worker.run(self.frame.worker, commands)
            commands = []
            await worker.replace_map(self.frame.worker, step.data.file, step.data.wanted)
        await worker.run(self.frame.worker, commands)

    async def _read_back(self, pools: Iterable[Pool], maps: Iterable[plan.Map]) -> None:
        """What HAProxy has of these is known."""
        backends = [self.homes.backend(one.name) for one in pools]
        if backends:
            self._actual |= _by_backend(await worker.servers_of(self.frame.worker, backends))
        for one in maps:
            found = await self._entries(one) if one.is_replaced else await self._asked(one)
            self._maps[one.file.name] = one.wanted if one.is_met_by(found) else found

    async def _entries(self, one: plan.Map) -> dict[str, str]:
        return await worker.entries(self.frame.worker, one.file)

    async def _asked(self, one: plan.Map) -> dict[str, str]:
        """The map, of which only those entries are asked for that were to change."""
        found = dict(one.now)
        for key in one.differing:
            value = await worker.entry(self.frame.worker, one.file, key)
            found.pop(key, None)
            found |= {key: value} if value is not None else {}
        return found

    def _map_plans(self, wanted: Layout) -> list[plan.Map]:
        """Each map as it is and as it shall be, with nothing that leads where there is no backend yet."""
        basis = (wanted.structure, self.loaded, dict(self.homes.of))
        if self._shall is None or self._shall[0] is not basis[0] or self._shall[1:3] != basis[1:]:
            sizes, shall = self.loaded.sizes, render.maps(wanted, self.homes.of)
            for name in render.TO_POOLS:
                shall[name] = {key: to for key, to in shall[name].items() if to in sizes}
            self._shall = (*basis, shall)
        folder, shall = self.frame.folder, self._shall[3]
        names = self.loaded.maps
        return [
            plan.Map(folder / name, self._maps.get(name, {}), shall[name], name in render.IN_ORDER) for name in names
        ]

    async def _retire(self, wanted: Layout, pools: Sequence[Pool]) -> None:
        """Workers that only finish what they have send nothing new to a server that is to get nothing new."""
        for pid in self._old if pools else ():
            backends = {name: one for one in pools for name in self.homes.everywhere(one.name)}
            loads = await master.loads(self.frame.master, pid, backends)
            commands = [command for load in loads for command in _retirement(backends.get(load.backend), load)]
            await master.run(self.frame.master, pid, commands)


def _retirement(found: Pool | None, load: records.Load) -> list[str]:
    if found is None or load.address == pool.EMPTY:
        return []
    ready = {address(server.key) for server in found.servers if server.key and server.mode == Mode.READY}
    if load.address in ready:
        return []
    return [worker.set_state(f"{load.backend}/{load.name}", Mode.MAINT if found.policy.sticky else Mode.DRAIN)]


def _touched(steps: Plan, pools: Iterable[Pool], homes: Homes) -> list[Pool]:
    backends = {step.target.split("/")[0] for step in steps.steps}
    return [one for one in pools if homes.backend(one.name) in backends]


def _write_maps(maps: Iterable[plan.Map]) -> None:
    for one in maps:
        files.replace(one.file, render.text_of(one.wanted), durable=False)


def _version(text: str) -> tuple[int, int]:
    """`2.6.12-1+deb12u4` → (2, 6)"""
    parts = text.split(".")
    return (
        (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdecimal() and parts[1].isdecimal() else (0, 0)
    )


def address(key: slots.Key) -> str:
    """As HAProxy shows it."""
    host, port = key
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _by_backend(servers: Iterable[records.Server]) -> dict[str, dict[str, records.Server]]:
    found: dict[str, dict[str, records.Server]] = {}
    for server in servers:
        found.setdefault(server.backend, {})[server.name] = server
    return found
