"""What one HAProxy has at this moment, always as read from it, and the commands that change it while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from pierhead.gateway import maps as maps_
from pierhead.gateway import plan, servers
from pierhead.gateway.frame import Frame
from pierhead.gateway.layout import Layout, Pool
from pierhead.gateway.loaded import Homes, Loaded, Records
from pierhead.gateway.reader import Reader
from pierhead.model.step import Plan, Step
from pierhead.wire.haproxy import master, worker

log = logging.getLogger(__name__)

ADDS_SERVERS = (3, 0)
"""The first HAProxy in which servers that were added at runtime are whole ones."""
CHANGES_ADDRESSES_LATE = (2, 9)
"""The first HAProxy that answers to a change of an address before it has made it."""
SECOND_LOOK, SECOND_LOOKS = timedelta(milliseconds=20), 25
"""How soon, and how often at most, it is looked again whether it has."""
LOGGED = 20
"""Steps of a plan that are logged, of the thousands that a start may have."""


class Present:
    """Used by one task at a time; others only read."""

    def __init__(self, frame: Frame, records: Records, reader: Reader) -> None:
        self.frame, self._records, self._reader = frame, records, reader
        self.loaded, self.homes = Loaded(), Homes()
        self.servers: servers.Found = {}
        self.maps = maps_.Maps(frame)
        self.version, self.pid = "", 0
        self.old: tuple[int, ...] = ()
        """Workers that only finish what they had when they were last asked for."""

    def nothing(self) -> None:
        """There is no HAProxy."""
        self.loaded, self.homes, self.servers = Loaded(), Homes(), {}

    async def read(self) -> None:
        """All of it is known. What its file declares is known by the mark it carries, or else unknown."""
        mark = await self._who()
        told, self.homes = await asyncio.to_thread(self._records.read, mark)
        self.loaded = replace(told, can_add=_version(self.version) >= ADDS_SERVERS)
        self.servers = await servers.every(self.frame)
        await self.maps.read(self.loaded)
        if not self.loaded.mark:
            ports = [name.removeprefix("port:") for name in await worker.frontends(self.frame.worker) if ":" in name]
            self.loaded = Loaded(ports=tuple(int(port) for port in ports if port.isdecimal()))

    async def read_anew(self, told: Loaded, layout: Layout) -> None:
        """It has just read the files that were written for `layout`, in which every pool has a backend of its own."""
        self.homes.moved(is_forgotten=not self.old)
        await asyncio.to_thread(self._records.write_homes, told.mark, self.homes)
        await self._who()
        self.loaded = replace(told, can_add=_version(self.version) >= ADDS_SERVERS)
        self.maps.loaded_with(layout)
        await asyncio.to_thread(self._records.keep_only, told.mark)
        self.servers = await servers.every(self.frame)

    async def is_other(self) -> bool:
        """Somebody else had it reloaded."""
        info = await worker.info(self.frame.worker)
        return (info.pid, info.description) != (self.pid, self.loaded.mark)

    async def read_workers(self) -> None:
        """It is known who only finishes what he has."""
        self.old = (await master.processes(self.frame.master)).old

    async def settle(self, wanted: Layout) -> None:
        """New pools have a spare backend as far as there are any, and this is on disk before anything leads there."""
        gone = [name for name in self.homes.of if name not in wanted.pools]
        for name in gone:
            del self.homes.of[name]
        if self.homes.seat(wanted.pools.values(), self.loaded) or gone:
            await asyncio.to_thread(self._records.write_homes, self.loaded.mark, self.homes)

    def there(self, pools: Iterable[Pool]) -> list[Pool]:
        """Those that have a backend."""
        return [one for one in pools if self.homes.backend(one.name) in self.loaded.sizes]

    def map_plans(self, wanted: Layout) -> list[plan.Map]:
        return self.maps.plans(wanted, self.loaded, self.homes)

    def steps(self, pools: Iterable[Pool], maps: Iterable[plan.Map] = ()) -> Plan:
        """What is to be done so that it has these pools and maps."""
        return plan.plan(pools, self.servers, self.homes, self.loaded, maps)

    async def send(self, wanted: Layout, steps: Plan, pools: Sequence[Pool], maps: Sequence[plan.Map] = ()) -> Plan:
        """The steps for `pools` and `maps` were sent, and it was asked what it has now. What is still missing is
        returned.
        """
        touched = self._touched(steps, pools)
        changed = [one for one in maps if not one.is_met_by(one.now)]
        if changed:
            await asyncio.to_thread(maps_.write, changed)
        await self._reader.read_before(steps, touched, self.servers, self.pid, self.homes)
        await self.run(await self._moved(steps, touched))
        log.info("Changed HAProxy.", extra={"plan": briefly(steps)})
        await servers.retire(self.frame, self.old, touched, self.homes)
        await self.read_back(touched, changed)
        drift = self.steps(touched, self.map_plans(wanted))
        looks = SECOND_LOOKS if self._is_late else 0
        while drift and looks:
            looks -= 1
            await asyncio.sleep(SECOND_LOOK.total_seconds())
            await self.read_back(touched, changed)
            drift = self.steps(touched, self.map_plans(wanted))
        return drift

    @property
    def _is_late(self) -> bool:
        return _version(self.version) >= CHANGES_ADDRESSES_LATE

    async def _moved(self, steps: Plan, pools: Sequence[Pool]) -> Plan:
        """Where addresses change late, servers have theirs before they take requests; what is left to do is returned.

        Else a request could reach who had the slot before.
        """
        early = [step for step in steps.steps if self._is_late and _has_address(step)]
        if not early:
            return steps
        await worker.run(self.frame.worker, [command for step in early for command in step.data if not _opens(command)])
        for _ in range(SECOND_LOOKS):
            await self.read_back(pools)
            if not any(_has_address(step) for step in self.steps(pools).steps):
                break
            await asyncio.sleep(SECOND_LOOK.total_seconds())
        left = (replace(step, data=tuple(filter(_opens, step.data))) if step in early else step for step in steps.steps)
        return Plan(tuple(left))

    async def run(self, steps: Plan) -> None:
        """The steps were sent, in order."""
        commands: list[str] = []
        for step in steps.steps:
            if step.kind != plan.REPLACE:
                commands.extend(step.data)
                continue
            await worker.run(self.frame.worker, commands)
            commands = []
            await worker.replace_map(self.frame.worker, step.data.file, step.data.wanted)
        await worker.run(self.frame.worker, commands)

    async def read_back(self, pools: Iterable[Pool], maps: Iterable[plan.Map] = ()) -> None:
        """What it has of these is known."""
        self.servers |= await servers.of(self.frame, pools, self.homes)
        await self.maps.read_back(maps)

    async def _who(self) -> str:
        """The mark of the worker that answers; its version, its pid and the old ones are known."""
        info = await worker.info(self.frame.worker)
        self.version, self.pid = info.version, info.pid
        await self.read_workers()
        return info.description

    def _touched(self, steps: Plan, pools: Iterable[Pool]) -> list[Pool]:
        backends = {step.target.split("/")[0] for step in steps.steps}
        return [one for one in pools if self.homes.backend(one.name) in backends]


def _has_address(step: Step) -> bool:
    """A slot gets another address by it."""
    return step.kind != plan.REPLACE and any(c.startswith("set server ") and " addr " in c for c in step.data)


def _opens(command: str) -> bool:
    """The server takes requests by it."""
    return command.startswith("set server ") and command.endswith((" state ready", " state drain"))


def briefly(steps: Plan) -> str:
    """The plan in one line, its beginning only where it is long."""
    told = "; ".join(map(str, steps.steps[:LOGGED]))
    more = len(steps.steps) - LOGGED
    return f"{told}; and {more} more" if more > 0 else told


def _version(text: str) -> tuple[int, int]:
    """`2.6.12-1+deb12u4` → (2, 6)"""
    parts = text.split(".")
    return (
        (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdecimal() and parts[1].isdecimal() else (0, 0)
    )
