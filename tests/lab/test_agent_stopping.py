"""Stops that are not the usual ones: containers that others started, unreadable labels, signals that are no stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.agent_lab import WEB, Lab, lab, until

from pierhead.model.instance import Label, Meta, State
from pierhead.testing.small import IMAGE
from pierhead.wire.docker import containers, images, services, tasks

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

WEB_SERVER = f"exec busybox {WEB}"
GRACE = 15
STUBBORN = "trap '' TERM HUP; busybox httpd -p 8000 -h /www; while :; do busybox usleep 20000; done"


@pytest_asyncio.fixture
async def one(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as found:
        await found.start()
        yield found


async def test_a_container_of_others_is_deregistered_before_it_ends(one: Lab) -> None:
    service = f"old-{one.options.cluster}"
    name = await one.container(STUBBORN, {"SERVICE_NAME": service}, {"StopTimeout": 3})
    await one.passes(service)
    async with asyncio.TaskGroup() as group:
        group.create_task(containers.stop(one.engine, name))
        await until(lambda: one.is_gone(service), 2, "it is deregistered")
        assert await one.runs(name)


async def test_a_container_of_others_that_survives_its_stop_signal_comes_back(one: Lab) -> None:
    service = f"old-{one.options.cluster}"
    name = await one.container(STUBBORN, {"SERVICE_NAME": service}, {"StopTimeout": 1})
    await one.passes(service)
    await containers.kill(one.engine, name, "SIGTERM")
    await until(lambda: one.is_gone(service), 2, "it is deregistered")
    await one.passes(service)


async def test_a_signal_that_is_no_stop_changes_nothing(one: Lab) -> None:
    service = f"old-{one.options.cluster}"
    name = await one.container(STUBBORN, {"SERVICE_NAME": service})
    own = await one.own("notes-dev", STUBBORN)
    await one.passes(service)
    await one.passes("notes-dev")
    for hit in (name, own):
        await containers.kill(one.engine, hit, "SIGHUP")
    await one.own("later-dev")
    await one.passes("later-dev")
    assert await one.is_in(State.HEALTHY, service)
    assert await one.is_in(State.HEALTHY, "notes-dev")


async def test_a_scale_down_without_an_agent_is_known_from_the_swarm(one: Lab) -> None:
    name = await one.service("notes-dev", WEB_SERVER, replicas=2)
    try:
        await until(lambda: one.is_in(State.HEALTHY, "notes-dev", 2), 40, "both pass")
        await one.stop()
        await services.scale(one.engine, await services.inspect(one.engine, name), 0)
        ids = [entry.service.meta[Meta.INSTANCE] for entry in await one.entries("notes-dev")]
        await until(lambda: all_leave(one, ids), 40, "the engine has asked both to stop")
        await forget_events(one)
        begin = time.monotonic()
        await one.start()
        for container in ids:
            await until(lambda container=container: one.ended(container), what="it is drained and ends")  # type: ignore[misc]
            assert await one.exit_code(container) == 143
        assert time.monotonic() - begin < GRACE
        await until(lambda: one.is_gone("notes-dev"), what="nothing is left in the catalog")
    finally:
        await one.remove_service(name)


async def test_what_nobody_remembers_is_ended_by_the_engine(one: Lab) -> None:
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    await one.stop()
    async with asyncio.TaskGroup() as group:
        group.create_task(containers.stop(one.engine, name, limit=timedelta(seconds=6)))
        await forget_events(one)
        await one.start()
    assert await one.exit_code(name) == 137
    await until(lambda: one.is_gone("notes-dev"), what="nothing is left in the catalog")


async def all_leave(one: Lab, ids: list[str]) -> bool:
    there = await tasks.leaving(one.engine, {Label.CLUSTER: one.options.cluster})
    return there.keys() >= set(ids)


async def forget_events(one: Lab) -> None:
    """The engine remembers its last 256 events: more than that come, some maybe before it does what was asked last."""
    for _ in range(400):
        await images.tag(one.engine, IMAGE, "pier-agent-lab", "again")


async def test_labels_that_cannot_be_read_do_not_keep_an_app_from_ending(one: Lab) -> None:
    name = await one.own("notes-dev", ports="{")
    begin = time.monotonic()
    await containers.stop(one.engine, name)
    assert time.monotonic() - begin < 5
    assert await one.exit_code(name) == 143
