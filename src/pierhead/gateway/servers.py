"""The servers of HAProxy's workers: what they are now, and what those are told that only finish what they have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from pierhead.gateway import pool as pool_
from pierhead.gateway import slots
from pierhead.gateway.frame import Frame
from pierhead.gateway.layout import Mode, Pool
from pierhead.gateway.loaded import Homes
from pierhead.wire.haproxy import master, records, worker

Found = dict[str, dict[str, records.Server]]
"""Backend → server → how the worker has it."""


async def every(frame: Frame) -> Found:
    """All servers of the worker that takes new connections."""
    text = await worker.servers_text(frame.worker)
    return await asyncio.to_thread(lambda: _by_backend(records.read_servers(text)))


async def of(frame: Frame, pools: Iterable[Pool], homes: Homes) -> Found:
    """Those of some pools."""
    backends = [homes.backend(one.name) for one in pools]
    return _by_backend(await worker.servers_of(frame.worker, backends)) if backends else {}


async def retire(frame: Frame, old: Iterable[int], pools: Sequence[Pool], homes: Homes) -> None:
    """Workers that only finish what they have send nothing new to a server that is to get nothing new."""
    for pid in old if pools else ():
        backends = {name: one for one in pools for name in homes.everywhere(one.name)}
        loads = await master.loads(frame.master, pid, backends)
        commands = [command for load in loads for command in _retirement(backends.get(load.backend), load)]
        await master.run(frame.master, pid, commands)


def _retirement(found: Pool | None, load: records.Load) -> list[str]:
    if found is None or load.address == pool_.EMPTY:
        return []
    ready = {slots.address(server.key) for server in found.servers if server.key and server.mode == Mode.READY}
    if load.address in ready:
        return []
    return [worker.set_state(f"{load.backend}/{load.name}", Mode.MAINT if found.policy.sticky else Mode.DRAIN)]


def _by_backend(servers: Iterable[records.Server]) -> Found:
    found: Found = {}
    for server in servers:
        found.setdefault(server.backend, {})[server.name] = server
    return found
