"""Whoever stops one of Pierhead's containers: it ends when no gateway has a request left on it, and not before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.agent_lab import Lab, lab, until

from pierhead.model.instance import State
from pierhead.wire.consul import agent
from pierhead.wire.docker import containers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

TERMINATED, KILLED = 143, 137


@pytest_asyncio.fixture
async def one(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as found:
        yield found


async def test_a_stop_waits_for_the_last_request(one: Lab) -> None:
    gateway = await one.gateway("g")
    gateway.requests = 1
    await one.start()
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(containers.stop(one.engine, name))
        begin = time.monotonic()
        await until(lambda: one.is_in(State.DRAINING, "notes-dev"), what="it drains")
        while time.monotonic() - begin < 1:
            assert await one.runs(name)
            assert await one.is_in(State.DRAINING, "notes-dev")
            await asyncio.sleep(0.05)
        gateway.requests = 0
        await until(lambda: one.ended(name), 3, "it ends")
        await stopping
    assert await one.exit_code(name) == TERMINATED
    await until(lambda: one.is_gone("notes-dev"), what="it is deregistered")


async def test_a_gateway_that_has_not_applied_the_drain_is_waited_for(one: Lab) -> None:
    gateway = await one.gateway("g")
    gateway.is_slow_to_apply = True
    await one.start()
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    async with asyncio.TaskGroup() as group:
        group.create_task(containers.stop(one.engine, name))
        await until(lambda: one.is_in(State.DRAINING, "notes-dev"), what="it drains")
        asked = gateway.asked
        await until(lambda: _more(gateway.asked, asked + 5), what="the gateway is asked again and again")
        assert await one.runs(name)
        gateway.is_slow_to_apply = False
    assert await one.exit_code(name) == TERMINATED


async def test_every_gateway_counts(one: Lab) -> None:
    first, second = await one.gateway("g1"), await one.gateway("g2")
    second.requests = 1
    await one.start()
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    async with asyncio.TaskGroup() as group:
        group.create_task(containers.stop(one.engine, name))
        await until(lambda: _more(min(first.asked, second.asked), 5), what="both are asked")
        assert await one.runs(name)
        second.requests = 0
    assert await one.exit_code(name) == TERMINATED


async def test_without_a_gateway_it_ends_at_once(one: Lab) -> None:
    await one.start()
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    begin = time.monotonic()
    await containers.stop(one.engine, name)
    assert time.monotonic() - begin < 3
    assert await one.exit_code(name) == TERMINATED


async def test_the_wait_is_bounded(one: Lab) -> None:
    gateway = await one.gateway("g")
    gateway.requests = 1
    await one.start()
    name = await one.own("notes-dev", stop={"drain_seconds": 1, "stop_seconds": 5})
    await one.passes("notes-dev")
    begin = time.monotonic()
    await containers.stop(one.engine, name)
    assert 0.9 < time.monotonic() - begin < 4
    assert await one.exit_code(name) == TERMINATED


async def test_a_gateway_that_does_not_answer_is_not_idle(one: Lab) -> None:
    gateway = await one.gateway("g")
    gateway.is_mute = True
    await one.start()
    name = await one.own("notes-dev", stop={"drain_seconds": 1, "stop_seconds": 5})
    await one.passes("notes-dev")
    begin = time.monotonic()
    await containers.stop(one.engine, name)
    assert 0.9 < time.monotonic() - begin < 4
    assert await one.exit_code(name) == TERMINATED


async def test_a_container_without_ports_gets_its_real_signal_at_once(one: Lab) -> None:
    gateway = await one.gateway("g")
    gateway.requests = 1
    await one.start()
    await one.own("notes-dev")
    await one.passes("notes-dev")
    worker = await one.own("worker-dev", "exec busybox sleep 1000", ports=[])
    begin = time.monotonic()
    await containers.stop(one.engine, worker)
    assert time.monotonic() - begin < 3
    assert await one.exit_code(worker) == TERMINATED


async def test_the_signal_of_the_label_wins(one: Lab) -> None:
    await one.start()
    stop = {"signal": "SIGUSR1", "drain_seconds": 5, "stop_seconds": 5}
    script = "trap 'exit 42' USR1; busybox httpd -p 8000 -h /www; while :; do busybox usleep 20000; done"
    name = await one.own("notes-dev", script, stop=stop)
    await one.passes("notes-dev")
    await containers.stop(one.engine, name)
    assert await one.exit_code(name) == 42


async def test_an_agent_that_was_killed_in_the_middle_goes_on_with_the_drain(one: Lab) -> None:
    gateway = await one.gateway("g")
    gateway.requests = 1
    await one.start_child()
    patient = {"drain_seconds": 100, "stop_seconds": 10}  # a busy machine takes its time to start an agent
    name = await one.own("notes-dev", stop=patient)
    await one.passes("notes-dev")
    async with asyncio.TaskGroup() as group:
        group.create_task(containers.stop(one.engine, name, limit=timedelta(seconds=110)))
        await until(lambda: one.is_in(State.DRAINING, "notes-dev"), what="it drains")
        await one.kill_child()
        await one.start_child()
        asked = gateway.asked
        await until(lambda: _more(gateway.asked, asked + 5), what="the next agent asks the gateway")
        assert await one.runs(name)
        assert await one.is_in(State.DRAINING, "notes-dev")
        gateway.requests = 0
    assert await one.exit_code(name) == TERMINATED
    await until(lambda: one.is_gone("notes-dev"), what="it is deregistered")


async def test_a_stop_that_was_asked_for_while_no_agent_ran_is_drained_by_the_next(one: Lab) -> None:
    gateway = await one.gateway("g")
    gateway.requests = 1
    await one.start()
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    await one.stop()
    async with asyncio.TaskGroup() as group:
        group.create_task(containers.stop(one.engine, name))
        await asyncio.sleep(0.3)  # the engine has sent its signal: nothing but its event would tell
        await one.start()
        await until(lambda: one.is_in(State.DRAINING, "notes-dev"), what="it drains")
        gateway.requests = 0
    assert await one.exit_code(name) == TERMINATED


async def test_a_container_that_starts_again_is_served_again(one: Lab) -> None:
    await one.start()
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    await containers.stop(one.engine, name)
    await until(lambda: one.is_gone("notes-dev"), what="it is deregistered")
    await containers.start(one.engine, name)
    await one.passes("notes-dev")


async def test_the_maintenance_of_a_person_stays(one: Lab) -> None:
    await one.start()
    await one.own("notes-dev")
    await one.passes("notes-dev")
    (entry,) = await one.entries("notes-dev")
    await agent.maintenance(one.catalog, entry.service.id, enable=True, reason="the disk is changed")
    await one.own("later-dev")
    await one.passes("later-dev")
    assert await one.is_in(State.DRAINING, "notes-dev")


async def _more(now: int, wanted: int) -> bool:
    return now >= wanted
