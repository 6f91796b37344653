"""What is not known is not gone: an agent that lost its engine or its catalog removes nothing, and catches up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.agent_lab import Lab, Way, lab, until

from pierhead.catalog import server
from pierhead.model.instance import State
from pierhead.testing.ports import free_port
from pierhead.wire.consul import agent
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import containers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]


@pytest_asyncio.fixture
async def one(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as found:
        yield found


async def test_a_catalog_that_forgot_everything_is_told_again(one: Lab) -> None:
    await one.start()
    for service in ("notes-dev", "wiki-dev"):
        await one.own(service)
        await one.passes(service)
    await one.own("sick-dev", health={"probe": "http", "path": "/none", "port": "web", "interval_seconds": 1})
    await until(lambda: one.is_in(State.UNHEALTHY, "sick-dev"), what="it is registered")
    for key in await agent.services(one.catalog):
        await agent.deregister(one.catalog, key)
    for service in ("notes-dev", "wiki-dev"):
        await one.passes(service)
    await until(lambda: one.is_in(State.UNHEALTHY, "sick-dev"), what="it is registered again")


async def test_a_catalog_that_was_away_and_came_back_empty_is_told_again(one: Lab, tmp_path: Path) -> None:
    port = free_port()
    await one.own("notes-dev")
    async with server.serving(server.Options(port=port, data=tmp_path / "before")) as address:
        await one.start(catalog_url=address.url)
        async with Consul(address.url) as catalog:
            await Lab(one.options, one.engine, catalog).passes("notes-dev")
    second = await one.own("wiki-dev")
    async with (
        server.serving(server.Options(port=port, data=tmp_path / "after")) as address,
        Consul(address.url) as catalog,
    ):
        seen = Lab(one.options, one.engine, catalog)
        await seen.passes("notes-dev")
        await seen.passes("wiki-dev")
        await containers.kill(one.engine, second)
        await until(lambda: seen.is_gone("wiki-dev"), what="it is deregistered")
        await one.stop()


async def test_a_drain_goes_on_while_the_catalog_is_away(one: Lab, tmp_path: Path) -> None:
    port = free_port()
    name = await one.own("notes-dev", stop={"drain_seconds": 1, "stop_seconds": 5})
    async with server.serving(server.Options(port=port, data=tmp_path / "before")) as address:
        await one.start(catalog_url=address.url)
        async with Consul(address.url) as catalog:
            await Lab(one.options, one.engine, catalog).passes("notes-dev")
    await containers.stop(one.engine, name)
    assert await one.exit_code(name) == 143
    await one.stop()


async def test_an_engine_that_does_not_answer_takes_nothing_away(one: Lab, tmp_path: Path) -> None:
    way = Way(tmp_path / "engine.sock")
    await way.open()
    await one.start(engine=f"unix://{way.path}")
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    await way.close()
    for _ in range(20):
        await asyncio.sleep(0.05)  # several looks of the agent
        assert await one.is_in(State.HEALTHY, "notes-dev")
    await containers.kill(one.engine, name)
    other = await one.own("wiki-dev")
    await way.open()
    await one.passes("wiki-dev")
    await until(lambda: one.is_gone("notes-dev"), what="what ended meanwhile is deregistered")
    assert await one.runs(other)
    await one.stop()
    await way.close()


async def test_an_agent_that_starts_before_its_engine_and_its_catalog_catches_up(one: Lab, tmp_path: Path) -> None:
    way, port = Way(tmp_path / "engine.sock"), free_port()
    await one.own("notes-dev")
    await one.start(engine=f"unix://{way.path}", catalog_url=f"http://127.0.0.1:{port}")
    await way.open()
    async with (
        server.serving(server.Options(port=port, data=tmp_path / "late")) as address,
        Consul(address.url) as catalog,
    ):
        await Lab(one.options, one.engine, catalog).passes("notes-dev")
        await one.stop()
    await way.close()
