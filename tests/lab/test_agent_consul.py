"""The agent beside a real Consul, where registrator was before."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.agent_lab import Lab, lab, until

from pierhead.kit import errors
from pierhead.model.instance import Meta, State
from pierhead.testing import consul as real
from pierhead.wire.consul import agent
from pierhead.wire.consul.agent import Registration
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import containers

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        os.environ.get("PIER_NO_REAL_CONSUL") == "1", reason="PIER_NO_REAL_CONSUL=1 leaves the real Consul out"
    ),
]


@pytest_asyncio.fixture
async def one(tmp_path: Path) -> AsyncIterator[Lab]:
    async with (
        lab(tmp_path) as made,
        real.serving(tmp_path / "consul") as consul,
        Consul(consul.url) as catalog,
    ):
        made.catalog = catalog
        await made.start(catalog_url=consul.url)
        yield made
        await made.stop()


async def test_a_container_lives_through_registration_drain_and_end(one: Lab) -> None:
    gateway = await one.gateway("g")
    gateway.requests = 1
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    async with asyncio.TaskGroup() as group:
        group.create_task(containers.stop(one.engine, name))
        await until(lambda: one.is_in(State.DRAINING, "notes-dev"), what="it drains")
        assert await one.runs(name)
        gateway.requests = 0
    assert await one.exit_code(name) == 143
    await until(lambda: one.is_gone("notes-dev"), what="it is deregistered")


async def test_a_restarted_agent_changes_nothing(one: Lab) -> None:
    service = f"old-{one.options.cluster}"
    await one.container("exec busybox httpd -f -p 8000 -h /www", {"SERVICE_NAME": service, "SERVICE_CHECK_HTTP": "/"})
    await one.own("notes-dev")
    await one.passes(service)
    await one.passes("notes-dev")
    before = await _indexes(one, service, "notes-dev")
    await one.stop()
    await one.start()
    await one.own("later-dev")
    await one.passes("later-dev")
    assert await _indexes(one, service, "notes-dev") == before


async def test_what_was_wiped_is_registered_again_with_its_status(one: Lab) -> None:
    await one.own("notes-dev")
    await one.passes("notes-dev")
    (entry,) = await one.entries("notes-dev")
    await agent.deregister(one.catalog, entry.service.id)
    await until(lambda: one.is_gone("notes-dev"), what="it is gone")
    await one.passes("notes-dev")


async def test_what_others_registered_is_never_touched(one: Lab) -> None:
    theirs = Registration("theirs", f"theirs-{one.options.cluster}", "192.0.2.1", 80, meta={Meta.NODE: "other"})
    await agent.register(one.catalog, theirs)
    service = f"mine-{one.options.cluster}"
    await one.container("exec busybox sleep 1000", {"SERVICE_NAME": service, "SERVICE_ID": theirs.id})
    await one.own("notes-dev")
    await one.passes("notes-dev")
    assert (await agent.service(one.catalog, theirs.id)).address == "192.0.2.1"
    assert await one.is_gone(service)
    await agent.deregister(one.catalog, theirs.id)
    await one.passes(service)


async def test_a_second_agent_of_that_name_is_refused(one: Lab, tmp_path: Path) -> None:
    await one.own("notes-dev")
    await one.passes("notes-dev")
    second = Lab(one.options, one.engine, one.catalog)
    await second.start(data=tmp_path / "copied")
    assert second._task
    with pytest.raises(errors.Conflict, match=one.options.node_name):
        await second._task


async def test_a_consul_that_is_killed_and_started_again_is_told_what_changed_and_nothing_flaps(tmp_path: Path) -> None:
    async with lab(tmp_path) as one:
        old = f"old-{one.options.cluster}"
        async with real.serving(tmp_path / "consul") as consul, Consul(consul.url) as one.catalog:
            await one.start(catalog_url=consul.url)
            said = {"SERVICE_NAME": old, "SERVICE_CHECK_HTTP": "/"}
            await one.container("exec busybox httpd -f -p 8000 -h /www", said)
            await one.own("stays-dev")
            ends = await one.own("ends-dev")
            for service in (old, "stays-dev", "ends-dev"):
                await one.passes(service)
            os.kill(consul.pid, signal.SIGKILL)
        await containers.kill(one.engine, ends)
        await one.own("new-dev")
        async with real.serving(tmp_path / "consul") as consul, Consul(consul.url) as one.catalog:
            for service in (old, "stays-dev", "new-dev"):
                await until(lambda name=service: one.is_in(State.HEALTHY, name), 60, f"{service} passes")  # type: ignore[misc]
            await until(lambda: one.is_gone("ends-dev"), 60, "what ended meanwhile is deregistered")
            before = await _indexes(one, old, "stays-dev", "new-dev")
            await one.own("later-dev")
            await one.passes("later-dev")
            assert await _indexes(one, old, "stays-dev", "new-dev") == before
            await one.stop()


async def _indexes(one: Lab, *services: str) -> list[int]:
    return [check.modify_index for name in services for entry in await one.entries(name) for check in entry.checks]
