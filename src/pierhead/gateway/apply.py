"""Brings HAProxy to what the catalog says: by commands while it runs, or by one reload. The only writer.

What HAProxy has is read from it, before and after; the truth is never what was wished.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic

from pierhead.gateway import haproxy, layout, loaded, plan, servers
from pierhead.gateway.access import AccessLog
from pierhead.gateway.layout import Drawn, Layout, Pool, Problem
from pierhead.gateway.loaded import Homes, Loaded, Records
from pierhead.gateway.options import Options
from pierhead.gateway.present import Present, briefly
from pierhead.gateway.reader import Reader
from pierhead.gateway.snapshot import Snapshot
from pierhead.gateway.writing import Writing
from pierhead.kit import clock, errors, tasks
from pierhead.kit.process import Process

log = logging.getLogger(__name__)

RELOAD_INTERVAL = timedelta(seconds=1)
"""Between two reloads, or as long as the last one took; what comes meanwhile is one."""
REFILL_INTERVAL = timedelta(minutes=1)
"""Between two reloads that only bring new spare backends."""
OLD_WORKERS = 8
"""With so many workers that still finish their connections there is no reload: each holds memory."""
LOOK_POOLS = 64
"""Pools that are read at a time when nothing changes."""


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
        self.has_followed = False
        """It was carried out at least once: before that nothing can be said of any service."""
        self.reloads = 0
        self.repairs = 0
        """How often HAProxy was found to be other than it had been left."""
        self.changes = 0
        self.seconds = 0.0
        """What all changes together took."""
        self.failure = ""
        """Why HAProxy does not follow; empty: it does."""
        self.waiting = ""
        """What a reload that has yet to come brings, and why it waits; empty: none is needed."""
        self.index = 0
        """The catalog's index that is carried out."""
        records = Records(options.data / "loaded")
        self._writing = Writing(self.frame, records)
        self._has = Present(self.frame, records, self.reader)
        self._drawn: Drawn | None = None
        self._newer: Newer | None = None
        self._is_partial = False
        self._blocked: dict[int, str] = {}
        self._reloaded_at = clock.now() - REFILL_INTERVAL
        self._reload_took = timedelta()
        self._next_look = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.layout.problems

    @property
    def version(self) -> str:
        return self._has.version

    @property
    def homes(self) -> Homes:
        return self._has.homes

    @property
    def loaded(self) -> Loaded:
        return self._has.loaded

    @property
    def maps(self) -> Mapping[str, Mapping[str, str]]:
        """File → key → where it leads, as HAProxy had it when it was last read."""
        return self._has.maps.held

    @property
    def old_workers(self) -> int:
        """Workers that only finished what they had when they were last asked for."""
        return len(self._has.old)

    @property
    def due(self) -> datetime:
        """When a reload may come at the earliest."""
        return self._reloaded_at + max(RELOAD_INTERVAL, self._reload_took)

    @property
    def is_stuck(self) -> bool:
        """A reload is needed and does not come by itself soon."""
        return bool(self.waiting) and self.old_workers >= OLD_WORKERS

    def lost(self) -> None:
        """The process ended; the next `follow` starts it again."""
        self.process = None
        self.started.clear()

    def forget(self) -> None:
        """Nothing that was read from HAProxy is believed any more: the next `follow` looks at everything."""
        self._drawn = None

    async def follow(self, snapshot: Snapshot, newer: Newer | None = None, *, is_partial: bool = False) -> None:
        """HAProxy serves what `snapshot` says; during a reload also what `newer` says of endpoints.

        `is_partial`: more will be known at once, and is waited for before a reload.
        Raises: PierError; then nothing is certain, so `forget` and repeat.
        """
        begin, self._newer, self._is_partial = monotonic(), newer, is_partial
        if self.process is None:
            await self._raise(snapshot)
        elif self._drawn is None:
            await self._has.read()
        if await self._carry_out(snapshot):
            self.changes += 1
            self.seconds += monotonic() - begin
        self.index, self.has_followed = snapshot.index, True

    async def look(self) -> None:
        """A part of what HAProxy has was read, another one each time, and repaired where somebody else changed it."""
        if self.process is None or self._drawn is None:
            return
        if await self._has.is_other():
            log.warning("HAProxy was reloaded by somebody else.")
            self.repairs += 1
            self.forget()
            return
        await self._has.read_workers()
        wanted = self._drawn.layout
        pools = list(islice(wanted.pools.values(), self._next_look, self._next_look + LOOK_POOLS))
        self._next_look = self._next_look + LOOK_POOLS if pools else 0
        if pools:
            await self._has.read_back(pools)
        else:
            await self._has.maps.read(self.loaded)
        if steps := self._has.steps(self._has.there(pools), self._has.map_plans(wanted)):
            log.warning("HAProxy was changed by somebody else and is set right.", extra={"plan": briefly(steps)})
            self.repairs += 1
            await self._command(self._drawn, pools)

    async def _raise(self, snapshot: Snapshot) -> None:
        """There is a process, with everything known of it: the one that still runs, or a new one."""
        self.process = haproxy.find(self.frame)
        if self.process is not None:
            log.info("Found HAProxy running.", extra={"pid": self.process.pid})
            self._drawn = None
            self.started.set()
            await self._has.read()
            return
        self._drawn = None
        self._has.nothing()
        drawn = Drawn(snapshot, self._draw(snapshot))
        texts, told = await self._writing.write(drawn.layout, can_add=False)
        self.process = await haproxy.start(self.options, self.frame, texts)
        log.info("Started HAProxy.", extra={"pid": self.process.pid})
        self.started.set()
        await self._has.read_anew(told, drawn.layout)
        await self._complete(drawn)

    def _draw(self, snapshot: Snapshot) -> Layout:
        """The layout, without those ports that are new and taken by another program."""
        held = {} if self._drawn else plan.held(self._has.servers, self.homes)
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
            await self._has.settle(wanted)
        checked = wanted.pools if is_routed_anew else {one.name: one for one in changed}
        head = self._writing.head(wanted)
        cause = plan.difference(self.loaded, head, checked, self.homes) or self._refill()
        obstacle = self._obstacle() if cause else ""
        self.waiting = f"{cause} ({obstacle})" if obstacle else cause
        if cause and not obstacle:
            await self._reload(Drawn(snapshot, wanted), cause, changed)
            self.waiting = ""
            return True
        return await self._command(Drawn(snapshot, wanted), changed)

    def _done(self, drawn: Drawn) -> None:
        self.layout, self._drawn = drawn.layout, drawn

    def _refill(self) -> str:
        is_time = clock.now() - self._reloaded_at > REFILL_INTERVAL
        return (
            "few spare backends are left"
            if is_time and loaded.free(self.homes, self.loaded) < loaded.FEW_SPARES
            else ""
        )

    def _obstacle(self) -> str:
        """Why there may be no reload now; empty when there may."""
        if self.old_workers >= OLD_WORKERS:
            return f"{self.old_workers} workers still finish what they have, and no more than {OLD_WORKERS} may"
        if self._is_partial:
            return "the catalog is still telling what there is"
        return "the last reload was just now" if self.loaded.mark and clock.now() < self.due else ""

    async def _reload(self, drawn: Drawn, cause: str, changed: Sequence[Pool]) -> None:
        """A worker with `drawn` serves, less what HAProxy refuses. What a file cannot say is said to it afterwards."""
        begin = monotonic()
        texts, told = await self._writing.write(drawn.layout, can_add=self.loaded.can_add)
        now = await self._replace(texts, told, drawn)
        self.reloads += 1
        self._reloaded_at, self._reload_took = clock.now(), timedelta(seconds=monotonic() - begin)
        log.info("Reloaded HAProxy.", extra={"plan": f"reload haproxy: {cause}"})
        await self._has.read_anew(told, drawn.layout)
        await servers.retire(self.frame, self._has.old, [*changed, *_others(drawn, now)], self.homes)
        await self._complete(now)

    async def _complete(self, now: Drawn) -> None:
        """A worker that has just read its file has what no file can say too. Raises: Broken."""
        pools = list(now.layout.pools.values())
        rest = await asyncio.to_thread(self._has.steps, pools)
        if rest and (drift := await self._has.send(now.layout, rest, pools)):
            raise errors.Broken(f"HAProxy does not do as it was told: {drift.steps[0]}")
        self._done(now)

    async def _replace(self, texts: Mapping[str, str], told: Loaded, drawn: Drawn) -> Drawn:
        """A new worker serves `texts`. What HAProxy is to be by then is returned: endpoints changed meanwhile.

        Raises: Invalid, Unavailable.
        """
        latest = [drawn]
        async with self.reader.over_reload(self._has.pid, self.layout, self.homes):
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
            pools = self._has.there(_others(before, latest[0]))
            steps = self._has.steps(pools)
            try:
                await self._has.run(steps)
                await self._has.read_back(pools)
            except errors.Unavailable as error:
                log.debug("HAProxy was not told during its reload.", extra={"reason": error.message})
                continue
            if steps:
                log.info("Changed HAProxy.", extra={"plan": f"while it is reloaded: {briefly(steps)}"})

    async def _command(self, drawn: Drawn, changed: Sequence[Pool]) -> bool:
        """The pools that changed, and the maps, are as they are to be. False: nothing had to be done."""
        there, maps = self._has.there(changed), self._has.map_plans(drawn.layout)
        steps = self._has.steps(there, maps)
        drift = await self._has.send(drawn.layout, steps, there, maps) if steps else steps
        if drift:
            await self._reload(drawn, f"drift: {drift.steps[0]}", changed)
        else:
            self._done(drawn)
        return bool(steps)


def _others(before: Drawn, now: Drawn) -> list[Pool]:
    """The pools of `now` that `before` had otherwise."""
    return [pool for name, pool in now.layout.pools.items() if before.layout.pools.get(name) is not pool]
