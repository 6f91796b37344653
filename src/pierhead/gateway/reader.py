"""HAProxy's counters are read: when somebody asks, and before HAProxy forgets whose they are.

A reload begins new counters, and a slot that is given to somebody else goes on counting. Not being able to read stops
neither.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from pierhead.gateway import plan
from pierhead.gateway.layout import Layout, Pool
from pierhead.gateway.loaded import Homes
from pierhead.gateway.meter import Meter
from pierhead.gateway.pool import EMPTY
from pierhead.kit import errors
from pierhead.model.step import Plan
from pierhead.wire.haproxy import cli, master, records


class Reader:
    """Of one HAProxy, by the sockets of its master and of its worker."""

    def __init__(self, leader: Path, follower: Path) -> None:
        self._socket, self._worker = leader, follower
        self.meter = Meter()

    async def read(self, layout: Layout, homes: Homes) -> None:
        """What all workers have counted so far is counted. Raises: Unavailable."""
        processes = await master.processes(self._socket)
        alive = [pid for pid in (processes.worker, *processes.old) if pid]
        pools = _by_backend(layout, homes)
        for pid in alive:
            text = await master.stats(self._socket, pid)
            self._take(pools, pid, await asyncio.to_thread(records.read_used, text))
        self.meter.keep(alive)

    @contextlib.asynccontextmanager
    async def over_reload(self, pid: int, layout: Layout, homes: Homes) -> AsyncIterator[None]:
        """The worker `pid`, which is replaced in the block, is counted until it takes no more requests: it is held.

        What it has yet to answer then is not: those that were open when the new one was there.
        """
        async with contextlib.AsyncExitStack() as stack:
            pools, ask = _by_backend(layout, homes), None
            with contextlib.suppress(errors.Unavailable):
                ask = await stack.enter_async_context(cli.held(self._worker))
            yield
            if ask:
                with contextlib.suppress(errors.Unavailable):
                    self._take(pools, pid, await asyncio.to_thread(records.read_used, await ask(records.STATS)))

    async def read_before(
        self, steps: Plan, pools: Sequence[Pool], actual: plan.Actual, pid: int, homes: Homes
    ) -> None:
        """What went to slots that `steps` give to somebody else is counted for those who have them yet."""
        backends = {backend for backend, name in _given_anew(steps) if _is_taken(actual, backend, name)}
        if not backends:
            return
        with contextlib.suppress(errors.Unavailable):
            found = await master.loads(self._socket, pid, backends)
            self._take({homes.backend(pool.name): pool for pool in pools}, pid, found)

    def _take(self, pools: Mapping[str, Pool], pid: int, loads: Sequence[records.Load]) -> None:
        found: dict[str, list[records.Load]] = {}
        for load in loads:
            found.setdefault(load.backend, []).append(load)
        for backend, counted in found.items():
            if backend in pools:
                self.meter.read(pools[backend], pid, counted)


def _by_backend(layout: Layout, homes: Homes) -> dict[str, Pool]:
    """Backend → pool, in any worker."""
    return {backend: pool for pool in layout.pools.values() for backend in homes.everywhere(pool.name)}


def _given_anew(steps: Plan) -> list[tuple[str, str]]:
    """Backend and server of every slot that gets another address."""
    found = [step.target for step in steps.steps if step.kind != plan.REPLACE and any(map(_is_address, step.data))]
    return [(target.rpartition("/")[0], target.rpartition("/")[2]) for target in found]


def _is_address(command: str) -> bool:
    return command.startswith("set server ") and " addr " in command


def _is_taken(actual: plan.Actual, backend: str, name: str) -> bool:
    server = actual.get(backend, {}).get(name)
    return server is not None and f"{server.address}:{server.port}" != EMPTY
