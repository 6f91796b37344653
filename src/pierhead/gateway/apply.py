"""Brings HAProxy to what the catalog says: by commands while it runs, or by one reload. The only writer.

What HAProxy has is read from it, before and after; the truth is never what was wished.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from pierhead.gateway import haproxy, layout, plan, pool, render, slots
from pierhead.gateway.layout import Layout, Mode, Problem, Structure
from pierhead.gateway.options import Options
from pierhead.gateway.snapshot import Snapshot
from pierhead.kit import errors
from pierhead.kit.process import Process
from pierhead.model.step import Plan, Step
from pierhead.wire.haproxy import master, records, worker

log = logging.getLogger(__name__)


class Proxy:
    """One HAProxy as it is now. Used by one task at a time; others only read."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.frame = haproxy.frame(options)
        self.process: Process | None = None
        self.started = asyncio.Event()
        """Set while there is a process."""
        self.layout = Layout()
        """What was carried out last."""
        self.has_followed = False
        """It was carried out at least once: before that nothing can be said of any service."""
        self.reloads = 0
        self.version = ""
        self.failure = ""
        """Why HAProxy does not follow; empty: it does."""
        self.index = 0
        """The catalog's index that is carried out."""
        self._snapshot: Snapshot | None = None
        self._loaded = Structure()
        self._actual: dict[str, dict[str, records.Server]] = {}
        self._blocked: dict[int, str] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.layout.problems

    def lost(self) -> None:
        """The process ended; the next `follow` starts it again."""
        self.process = None
        self.started.clear()

    def forget(self) -> None:
        """Nothing that was read from HAProxy is believed any more: the next `follow` looks at everything."""
        self._snapshot = None

    async def follow(self, snapshot: Snapshot) -> None:
        """HAProxy serves what `snapshot` says. Raises: PierError; then nothing is certain, so `forget` and repeat."""
        if self.process is None:
            await self._raise(snapshot)
        elif self._snapshot is None:
            await self._look(snapshot)
        wanted = self._draw(snapshot)
        before = self.layout.pools if self._snapshot else {}
        await self._carry_out(wanted, [name for name, pool in wanted.pools.items() if before.get(name) is not pool])
        self.layout, self._snapshot, self.index = wanted, snapshot, snapshot.index
        self.has_followed = True

    async def _raise(self, snapshot: Snapshot) -> None:
        """There is a process, with everything known of it: the one that still runs, or a new one."""
        self.process = haproxy.find(self.frame)
        if self.process is None:
            self._loaded, self._actual, self._snapshot = Structure(), {}, None
            wanted = self._draw(snapshot)
            self.process = await haproxy.start(self.options, self.frame, render.files(self.frame, wanted))
            log.info("Started HAProxy.", extra={"pid": self.process.pid})
        else:
            log.info("Found HAProxy running.", extra={"pid": self.process.pid})
        self.started.set()
        await self._look(snapshot)

    async def _look(self, snapshot: Snapshot) -> None:
        """What HAProxy has is read from it. Its structure is known by the mark it carries, or else unknown."""
        info = await worker.info(self.frame.worker)
        self.version = info.version
        self._actual = _by_pool(await worker.servers(self.frame.worker))
        ports = await worker.frontends(self.frame.worker)
        self._loaded = Structure(ports={int(name.removeprefix("port:")): "?" for name in ports if name[:5] == "port:"})
        self._snapshot = None
        wanted = self._draw(snapshot, is_structure_known=False)
        if render.fingerprint(self.frame, wanted) == info.description:
            self._loaded = wanted.structure

    def _draw(self, snapshot: Snapshot, *, is_structure_known: bool = True) -> Layout:
        """The layout, without those ports that are new and taken by another program."""
        before = (self._snapshot, self.layout) if self._snapshot else None
        held = {} if before else plan.held(self._actual)
        wanted = layout.draw(snapshot, held, {}, before)
        if not is_structure_known:
            return wanted if not self._blocked else layout.draw(snapshot, held, self._blocked, before)
        fresh = wanted.structure.ports.keys() - self._loaded.ports.keys()
        reasons = {port: haproxy.taken(self.options.host, port) for port in fresh}
        self._blocked = {port: reason for port, reason in reasons.items() if reason}
        return layout.draw(snapshot, held, self._blocked, before) if self._blocked else wanted

    async def _carry_out(self, wanted: Layout, changed: Sequence[str]) -> None:
        steps = plan.plan(wanted, self._loaded, self._actual, changed)
        if not steps:
            return
        if steps.steps[0].kind == plan.RELOAD:
            await self._reload(wanted, steps, changed)
            return
        if drift := await self._command(wanted, steps):
            await self._reload(wanted, Plan((Step(plan.RELOAD, "haproxy", f"drift: {drift.steps[0]}"),)), changed)

    async def _reload(self, wanted: Layout, steps: Plan, changed: Sequence[str]) -> None:
        """A worker with `wanted` serves. What a file cannot say is said to it afterwards."""
        await haproxy.reload(self.options, self.frame, render.files(self.frame, wanted))
        self.reloads += 1
        log.info("Reloaded HAProxy.", extra={"plan": str(steps)})
        self._actual = _by_pool(await worker.servers(self.frame.worker))
        self._loaded = wanted.structure
        await self._retire(wanted, changed)
        rest = plan.plan(wanted, self._loaded, self._actual, wanted.pools)
        if rest and (drift := await self._command(wanted, rest)):
            raise errors.Broken(f"HAProxy does not do as it was told: {drift.steps[0]}")

    async def _command(self, wanted: Layout, steps: Plan) -> Plan:
        """The steps were sent and HAProxy was asked what it has now. What is still missing is returned."""
        await worker.run(self.frame.worker, [command for step in steps.steps for command in step.data])
        log.info("Changed servers.", extra={"plan": str(steps).replace("\n", "; ")})
        touched = sorted({step.target.split("/")[0] for step in steps.steps})
        await self._retire(wanted, touched)
        for name in touched:
            self._actual |= _by_pool(await worker.servers(self.frame.worker, name))
        return plan.plan(wanted, self._loaded, self._actual, touched)

    async def _retire(self, wanted: Layout, pools: Sequence[str]) -> None:
        """Workers that only finish what they have send nothing new to a server that is to get nothing new."""
        found = await master.processes(self.frame.master)
        for pid in found.old:
            for name in pools:
                loads = await master.loads(self.frame.master, pid, name)
                await master.run(self.frame.master, pid, _retirements(wanted, name, loads))


def _retirements(wanted: Layout, name: str, loads: Sequence[records.Load]) -> list[str]:
    found = wanted.pools[name]
    ready = {address(server.key) for server in found.servers if server.key and server.mode == Mode.READY}
    return [
        worker.set_state(f"{name}/{load.name}", Mode.MAINT if found.policy.sticky else Mode.DRAIN)
        for load in loads
        if load.address not in ready and load.address != pool.EMPTY
    ]


def address(key: slots.Key) -> str:
    """As HAProxy shows it."""
    host, port = key
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _by_pool(servers: Iterable[records.Server]) -> dict[str, dict[str, records.Server]]:
    found: dict[str, dict[str, records.Server]] = {}
    for server in servers:
        found.setdefault(server.backend, {})[server.name] = server
    return found
