"""Brings HAProxy to what the catalog says: by commands while it runs, or by one reload. The only writer.

What HAProxy has is read from it, before and after; the truth is never what was wished.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic

from pierhead.gateway import haproxy, layout, loaded, plan, render, servers
from pierhead.gateway import maps as maps_
from pierhead.gateway.access import AccessLog
from pierhead.gateway.layout import Drawn, Layout, Pool, Problem
from pierhead.gateway.loaded import Homes, Loaded, Records
from pierhead.gateway.options import Options
from pierhead.gateway.reader import Reader
from pierhead.gateway.snapshot import Snapshot
from pierhead.kit import clock, errors, tasks
from pierhead.kit.process import Process
from pierhead.model.step import Plan
from pierhead.wire.haproxy import master, worker

log = logging.getLogger(__name__)

RELOAD_INTERVAL = timedelta(seconds=1)
"""Between two reloads, or as long as the last one took; what comes meanwhile is one."""
REFILL_INTERVAL = timedelta(minutes=1)
"""Between two reloads that only bring new spare backends."""
OLD_WORKERS = 8
"""With so many workers that still finish their connections there is no reload: each holds memory."""
LOOK_POOLS = 64
"""Pools that are read at a time when nothing changes."""
ADDS_SERVERS = (3, 0)
"""The first HAProxy in which servers that were added at runtime are whole ones."""


Newer = Callable[[], Awaitable[Snapshot]]
"""Waits until something changed, and gives the newest snapshot."""


class Proxy:
    """One HAProxy as it is now. Used by one task at a time; others only read."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.frame = haproxy.frame(options)
        self.access = AccessLog.of(options)
        self.reader = Reader(self.frame.master, self.frame.worker)
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
        self._actual: servers.Found = {}
        self._maps = maps_.Maps(self.frame)
        self._newer: Newer | None = None
        self._blocked: dict[int, str] = {}
        self._texts: render.Texts = {}
        self._head: tuple[object, object, str] = (None, None, "")
        self._records = Records(options.data / "loaded")
        self._pid = 0
        self._old: tuple[int, ...] = ()
        self._reloaded_at = clock.now() - REFILL_INTERVAL
        self._reload_took = timedelta()
        self._next_look = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.layout.problems

    @property
    def maps(self) -> Mapping[str, Mapping[str, str]]:
        """File → key → where it leads, as HAProxy had it when it was last read."""
        return self._maps.held

    @property
    def old_workers(self) -> int:
        """Workers that only finished what they had when they were last asked for."""
        return len(self._old)

    @property
    def due(self) -> datetime:
        """When a reload may come at the earliest."""
        return self._reloaded_at + max(RELOAD_INTERVAL, self._reload_took)

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

    async def follow(self, snapshot: Snapshot, newer: Newer | None = None) -> None:
        """HAProxy serves what `snapshot` says; during a reload also what `newer` says of endpoints.

        Raises: PierError; then nothing is certain, so `forget` and repeat.
        """
        begin, self._newer = monotonic(), newer
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
            await self._maps.read(self.loaded)
        if steps := plan.plan(pools, self._actual, self.homes, self.loaded, self._map_plans(wanted)):
            log.warning("HAProxy was changed by somebody else and is set right.", extra={"plan": str(steps)})
            self.repairs += 1
            await self._command(self._drawn, pools)

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
        self._actual = await servers.every(self.frame)
        await self._maps.read(self.loaded)
        if not self.loaded.mark:
            ports = [name.removeprefix("port:") for name in await worker.frontends(self.frame.worker) if ":" in name]
            self.loaded = Loaded(ports=tuple(int(port) for port in ports if port.isdecimal()))

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
            await self._reload(Drawn(snapshot, wanted), cause, changed)
            self.waiting = ""
            return True
        return await self._command(Drawn(snapshot, wanted), changed)

    def _done(self, drawn: Drawn) -> None:
        self.layout, self._drawn = drawn.layout, drawn

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

    async def _reload(self, drawn: Drawn, cause: str, changed: Sequence[Pool]) -> None:
        """A worker with `drawn` serves, less what HAProxy refuses. What a file cannot say is said to it afterwards."""
        begin = monotonic()
        texts, told = await self._written(drawn.layout)
        now = await self._replace(texts, told, drawn)
        self.reloads += 1
        self._reloaded_at, self._reload_took = clock.now(), timedelta(seconds=monotonic() - begin)
        log.info("Reloaded HAProxy.", extra={"plan": f"reload haproxy: {cause}"})
        self.loaded = told
        self._maps.loaded_with(drawn.layout)
        self.homes.moved(is_forgotten=not self._old)
        await asyncio.to_thread(self._records.write_homes, told.mark, self.homes)
        processes = await master.processes(self.frame.master)
        self._pid, self._old = processes.worker, processes.old
        await asyncio.to_thread(self._records.keep_only, told.mark)
        self._actual = await servers.every(self.frame)
        await servers.retire(self.frame, self._old, [*changed, *_others(drawn, now)], self.homes)
        pools = list(now.layout.pools.values())
        rest = await asyncio.to_thread(plan.plan, pools, self._actual, self.homes, self.loaded)
        if rest and (drift := await self._send(now.layout, rest, _touched(rest, pools, self.homes), ())):
            raise errors.Broken(f"HAProxy does not do as it was told: {drift.steps[0]}")
        self._done(now)

    async def _replace(self, texts: Mapping[str, str], told: Loaded, drawn: Drawn) -> Drawn:
        """A new worker serves `texts`. What HAProxy is to be by then is returned: endpoints changed meanwhile.

        Raises: Invalid, Unavailable.
        """
        latest = [drawn]
        async with self.reader.over_reload(self._pid, self.layout, self.homes):
            reloading = haproxy.reload(self.options, self.frame, texts)
            if self._newer:
                await tasks.unless(self._tell(self._newer, latest, told), reloading)
            else:
                await reloading
        return latest[0]

    async def _tell(self, newer: Newer, latest: list[Drawn], told: Loaded) -> None:
        """Whoever takes requests during a reload hears of endpoints that change, until cancelled.

        That is the old worker, or the new one already: what either of them does not hear is made up for afterwards.
        """
        while True:
            snapshot = await newer()
            before, latest[0] = latest[0], layout.overtake(latest[0], snapshot, told.sizes)
            self.aim = latest[0].layout
            pools = [one for one in _others(before, latest[0]) if self.homes.backend(one.name) in self.loaded.sizes]
            steps = plan.plan(pools, self._actual, self.homes, self.loaded)
            try:
                await self._run(steps)
                self._actual |= await servers.of(self.frame, pools, self.homes)
            except errors.Unavailable as error:
                log.debug("HAProxy was not told during its reload.", extra={"reason": error.message})
                continue
            if steps:
                log.info("Changed HAProxy.", extra={"plan": f"while it is reloaded: {steps}".replace("\n", "; ")})

    async def _command(self, drawn: Drawn, changed: Sequence[Pool]) -> bool:
        """The pools that changed, and the maps, are as they are to be. False: nothing had to be done."""
        wanted = drawn.layout
        there = [one for one in changed if self.homes.backend(one.name) in self.loaded.sizes]
        maps = self._map_plans(wanted)
        steps = plan.plan(there, self._actual, self.homes, self.loaded, maps)
        drift = await self._send(wanted, steps, _touched(steps, there, self.homes), maps) if steps else steps
        if drift:
            await self._reload(drawn, f"drift: {drift.steps[0]}", changed)
        else:
            self._done(drawn)
        return bool(steps)

    async def _send(self, wanted: Layout, steps: Plan, pools: Sequence[Pool], maps: Sequence[plan.Map]) -> Plan:
        """The steps were sent and HAProxy was asked what it has now. What is still missing is returned."""
        changed = [one for one in maps if not one.is_met_by(one.now)]
        if changed:
            await asyncio.to_thread(maps_.write, changed)
        await self.reader.read_before(steps, pools, self._actual, self._pid, self.homes)
        await self._run(steps)
        log.info("Changed HAProxy.", extra={"plan": str(steps).replace("\n", "; ")})
        await servers.retire(self.frame, self._old, pools, self.homes)
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
        self._actual |= await servers.of(self.frame, pools, self.homes)
        await self._maps.read_back(maps)

    def _map_plans(self, wanted: Layout) -> list[plan.Map]:
        return self._maps.plans(wanted, self.loaded, self.homes)


def _others(before: Drawn, now: Drawn) -> list[Pool]:
    """The pools of `now` that `before` had otherwise."""
    return [pool for name, pool in now.layout.pools.items() if before.layout.pools.get(name) is not pool]


def _touched(steps: Plan, pools: Iterable[Pool], homes: Homes) -> list[Pool]:
    backends = {step.target.split("/")[0] for step in steps.steps}
    return [one for one in pools if homes.backend(one.name) in backends]


def _version(text: str) -> tuple[int, int]:
    """`2.6.12-1+deb12u4` → (2, 6)"""
    parts = text.split(".")
    return (
        (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdecimal() and parts[1].isdecimal() else (0, 0)
    )
