"""What the embedded catalog bears: watchers that leave, slow clients, many keys, tokens."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest

from pierhead.catalog import server
from pierhead.kit import errors
from pierhead.wire.consul import agent, catalog, health, kv
from pierhead.wire.consul.client import Consul

ASK = "GET /v1/kv/watched?index={}&wait=10m HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[str]:
    async with server.serving(server.Options(port=0, data=tmp_path, node_name="probe")) as address:
        yield address.url


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_five_hundred_watchers_are_woken_and_those_who_left_cost_nothing(alone: str) -> None:
    at = urlsplit(alone)
    async with Consul(alone) as consul:
        await kv.put(consul, "watched", b"1")
        _, index = await kv.get(consul, "watched")
        before = open_files()
        lines = [await asyncio.open_connection(at.hostname, at.port) for _ in range(500)]
        for _, writer in lines:
            writer.write(ASK.format(index).encode())
        for _, writer in lines[:250]:
            writer.close()
        deadline = monotonic() + 10
        while open_files() > before + 510:
            assert monotonic() < deadline, "the server kept the connections of watchers that left"
            await asyncio.sleep(0.05)
        await kv.put(consul, "watched", b"2")
        async with asyncio.timeout(10):
            for reader, writer in lines[250:]:
                assert b" 200 " in await reader.readline()
                writer.close()


async def test_a_client_that_never_finishes_its_request_hinders_nobody(alone: str) -> None:
    at = urlsplit(alone)
    slow = [await asyncio.open_connection(at.hostname, at.port) for _ in range(50)]
    for _, writer in slow:
        writer.write(b"PUT /v1/kv/slow HTTP/1.1\r\nContent-Length: 100\r\n\r\nonly this")
    async with Consul(alone) as consul:
        assert await kv.put(consul, "fast", b"1")
        assert (await kv.get(consul, "slow"))[0] is None
    for _, writer in slow:
        writer.close()


async def test_a_hundred_thousand_keys_are_listed(alone: str) -> None:
    async with Consul(alone, timeout=timedelta(seconds=60)) as consul:
        for first in range(0, 100_000, 64 * 25):
            async with asyncio.TaskGroup() as group:
                for start in range(first, min(first + 64 * 25, 100_000), 64):
                    group.create_task(_set(consul, range(start, min(start + 64, 100_000))))
        assert len(await kv.keys(consul, "many/")) == 100_000
        assert await kv.keys(consul, "many/0000", separator="/") == tuple(f"many/{n:06d}" for n in range(100))
        assert await kv.delete(consul, "many/", recurse=True)
        assert await kv.keys(consul, "") == ()


async def _set(consul: Consul, numbers: range) -> None:
    await consul.put("/v1/txn", [{"KV": {"Verb": "set", "Key": f"many/{n:06d}", "Value": "eA=="}} for n in numbers])


async def test_a_service_that_stays_critical_is_removed_when_it_is_to(tmp_path: Path) -> None:
    options = server.Options(port=0, data=tmp_path, node_name="probe", least_removal=timedelta(milliseconds=100))
    check = agent.Check(ttl=timedelta(hours=1), deregister_critical_service_after=timedelta(milliseconds=200))
    async with server.serving(options) as address, Consul(address.url) as consul:
        await agent.register(consul, agent.Registration("web", checks=(check,)))
        found, index = await health.service(consul, "web")
        assert len(found) == 1
        found, _ = await health.service(consul, "web", index=index, wait=timedelta(seconds=5))
        assert found == ()


async def test_the_nearest_node_is_first(alone: str) -> None:
    async with Consul(alone) as consul:
        await catalog.register(consul, {"Node": "aaa", "Address": "10.0.0.1"})
        for near, first in (("_agent", "probe"), ("probe", "probe"), ("aaa", "aaa"), ("absent", "aaa")):
            assert (await consul.get("/v1/catalog/nodes", {"near": near})).json()[0]["Node"] == first
        assert (await consul.get("/v1/coordinate/nodes")).json()[0]["Node"] == "probe"


async def test_two_servers_cannot_have_one_port(alone: str, tmp_path: Path) -> None:
    options = server.Options(port=urlsplit(alone).port or 0, data=tmp_path / "other")
    with pytest.raises(errors.Unavailable, match="cannot listen"):
        async with server.serving(options):
            pass
