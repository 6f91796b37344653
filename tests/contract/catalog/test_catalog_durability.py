"""What the embedded catalog acknowledged is there after kill -9, and its index never goes back."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

from pierhead.kit import errors
from pierhead.testing.embedded import running
from pierhead.wire.consul import agent, catalog, health, kv
from pierhead.wire.consul.client import Consul

_HOUR = timedelta(hours=1)


async def test_kill_9_during_a_thousand_writes_loses_none_that_was_acknowledged(tmp_path: Path) -> None:
    """1,000 writes are under way at every moment, each on a connection of its own, also when the server dies."""
    acknowledged: set[str] = set()
    async with (
        running(tmp_path) as (url, process),
        Consul(url, connections=1000, timeout=timedelta(seconds=60)) as consul,
        asyncio.TaskGroup() as group,
    ):
        for number in range(1000):
            group.create_task(_write_on(consul, number, acknowledged))
        group.create_task(_kill_after(process, acknowledged, 1500))
    assert len(acknowledged) >= 1500
    async with running(tmp_path) as (url, _), Consul(url, timeout=timedelta(seconds=60)) as consul:
        found = {pair.key for pair in (await kv.get_tree(consul, "k/"))[0]} | set(await agent.services(consul))
        assert acknowledged <= found


async def test_a_restart_keeps_everything_and_the_index_goes_on(tmp_path: Path) -> None:
    check = agent.Check(ttl=_HOUR)
    async with running(tmp_path) as (url, process), Consul(url) as consul:
        await agent.register(consul, agent.Registration("web", port=80, tags=("a",), meta={"k": "v"}, checks=(check,)))
        await agent.update_check(consul, "service:web", "passing")
        await agent.maintenance(consul, "web", enable=True, reason="why")
        await kv.put(consul, "gone", b"1")
        await kv.delete(consul, "gone")
        before, index = await health.service(consul, "web")
        _, kv_index = await kv.get(consul, "gone")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with running(tmp_path) as (url, _), Consul(url) as consul:
        after, later = await health.service(consul, "web")
        assert after == before
        assert later >= index
        assert (await kv.get(consul, "gone"))[1] >= kv_index
        assert "web" in (await catalog.services(consul))[0]


async def _write_on(consul: Consul, number: int, acknowledged: set[str]) -> None:
    """One write after the other until the server is gone, and what it acknowledged."""
    for step in range(1_000_000):
        name = f"k/{number}/{step}"
        try:
            await _write(consul, name, number % 3)
        except errors.Unavailable:
            return
        acknowledged.add(name)


async def _write(consul: Consul, name: str, kind: int) -> None:
    if kind == 0:
        await agent.register(consul, agent.Registration(name, checks=(agent.Check(ttl=_HOUR),)))
    elif kind == 1:
        await consul.put("/v1/txn", [{"KV": {"Verb": "set", "Key": name, "Value": ""}}])
    else:
        assert await kv.put(consul, name, b"v")


async def _kill_after(process: asyncio.subprocess.Process, acknowledged: set[str], count: int) -> None:
    async with asyncio.timeout(90):
        while len(acknowledged) < count:  # noqa: ASYNC110
            await asyncio.sleep(0)
    process.send_signal(signal.SIGKILL)
