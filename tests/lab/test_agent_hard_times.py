"""Everything at once, because each of it takes its time: a storm of containers, an engine that is killed, and a catalog
that is away for long while its agent is killed too.

Each has an agent, a catalog and containers of its own; they share the machine only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.lab.agent_lab import WEB, Lab, calls, lab, until
from tests.lab.own_engine import own_engine

from pierhead.agent import observe
from pierhead.agent.claim import TTL
from pierhead.catalog import server
from pierhead.kit import errors
from pierhead.model.dot_pier import FOLDER
from pierhead.model.instance import Label, Meta, State
from pierhead.testing.ports import free_port
from pierhead.wire.consul import agent
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import containers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

AWAY = timedelta(seconds=60)
"""Longer than any time that agent and catalog count between them. The storm beside it takes longer."""
LOOKS = 5
MANY, PUBLISHED, MOMENTS = 100, 20, 200
AT_ONCE = 4
PATIENCE = 120


async def test_hard_times(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(a_catalog_is_away_for_long(tmp_path / "away"))
        group.create_task(an_engine_is_killed(tmp_path / "killed"))
        group.create_task(a_hundred_start_and_two_hundred_live_a_moment(tmp_path / "storm"))


# A storm


async def a_hundred_start_and_two_hundred_live_a_moment(folder: Path) -> None:
    async with lab(folder) as one, gently(one):
        begun = asyncio.Event()

        async def start(number: int) -> None:
            await (one.own("many-dev") if number < PUBLISHED else hosted(one, "many-dev", "exec busybox sleep 1000"))
            if number >= MANY // 4:
                begun.set()

        async def follow() -> None:
            await begun.wait()
            await one.start()

        async with asyncio.TaskGroup() as group:
            group.create_task(follow())
            group.create_task(all_of(start, MANY))
        await until(lambda: one.is_in(State.HEALTHY, "many-dev", MANY), PATIENCE, "all of them pass")

        async def live(_: int) -> None:
            await hosted(one, "moment-dev", "busybox usleep 50000")

        before = await stamps(one, "many-dev")
        await all_of(live, MOMENTS)
        await one.own("last-dev")
        await until(lambda: one.is_in(State.HEALTHY, "last-dev"), PATIENCE, "who comes last passes")
        await until(lambda: one.is_gone("moment-dev"), PATIENCE, "nothing is left of a moment")
        assert await mine(one) == {"many-dev": MANY, "last-dev": 1}
        assert await stamps(one, "many-dev") == before, "nobody else was touched"


async def hosted(one: Lab, service: str, script: str) -> str:
    """One of Pierhead's own in the host's network, where starting takes less."""
    ports = f'[{{"name": "web", "port": 8000, "protocol": "http", "service": "{service}"}}]'
    labels = {Label.CLUSTER: one.options.cluster, Label.PORTS: ports, Label.HEALTH: '{"probe": "none"}'}
    return await one.container(script, labels, {"HostConfig": {"NetworkMode": "host"}, "StopSignal": "SIGCONT"})


# An engine that is killed


async def an_engine_is_killed(folder: Path) -> None:
    async with own_engine() as engine:
        await engine.start()
        async with lab(folder, engine.socket) as one:
            await one.start()
            stays, ends = f"stays-{one.options.cluster}", f"ends-{one.options.cluster}"
            await plain(one, stays, RestartPolicy={"Name": "always"})
            await plain(one, ends)
            before = await passes(one, stays, ends)
            await engine.kill()
            with calls(observe.Reader, "held", lambda reader: reader.node == one.options.node_name) as looks:
                while looks() < LOOKS:
                    assert await passes(one, stays, ends) == before, "what cannot be known now is not gone"
            await engine.start()
            await until(lambda: one.is_gone(ends), PATIENCE, "what ended with its engine is deregistered")
            await until(lambda: one.is_in(State.HEALTHY, stays), PATIENCE, "what was started again passes")
            await plain(one, f"new-{one.options.cluster}")
            await passes(one, stays, f"new-{one.options.cluster}")


async def plain(one: Lab, service: str, **host: object) -> str:
    more = {"HostConfig": {"PortBindings": {"8000/tcp": [{"HostPort": "0"}]}, "Init": True, **host}}
    return await one.container(f"exec busybox {WEB}", {"SERVICE_NAME": service}, more)


async def passes(one: Lab, *services: str) -> dict[str, list[int]]:
    for service in services:
        await until(lambda name=service: one.is_in(State.HEALTHY, name), PATIENCE, f"{service} passes")  # type: ignore[misc]
    return {service: await stamps(one, service) for service in services}


# A catalog that is away


async def a_catalog_is_away_for_long(folder: Path) -> None:
    place = server.Options(port=free_port(), data=folder / "kept")
    async with lab(folder) as one, gently(one):
        async with server.serving(place) as address, Consul(address.url) as catalog:
            one.at(address.url, catalog)
            await one.start_child()
            stays, ends, drains = [await one.own(name) for name in ("stays-dev", "ends-dev", "drains-dev")]
            before = await passes(one, "stays-dev", "ends-dev", "drains-dev")
        away = time.monotonic()
        await containers.kill(one.engine, ends)
        await one.kill_child()
        early = await one.own("early-dev")
        await one.start_child()
        await until(lambda: is_seen(one, early), PATIENCE, "the agent hears the engine again")
        await containers.stop(one.engine, drains, limit=timedelta(seconds=PATIENCE))
        assert await one.exit_code(drains) == 143, "its app was asked to end, and was not killed"
        await one.own("late-dev")
        assert TTL < AWAY, "the claim of the agent lapses meanwhile"
        await asyncio.sleep(max(0.0, AWAY.total_seconds() - (time.monotonic() - away)))  # the time itself
        async with server.serving(place) as address, Consul(address.url) as catalog:
            one.at(address.url, catalog)
            await passes(one, "stays-dev", "early-dev", "late-dev")
            for gone in ("ends-dev", "drains-dev"):
                await until(lambda name=gone: one.is_gone(name), PATIENCE, f"{gone} is deregistered")  # type: ignore[misc]
            assert await stamps(one, "stays-dev") == before["stays-dev"], "what did not change was not written"
            assert await one.runs(stays)
            second = Lab(one.options, one.engine, catalog)
            await second.start(data=folder / "copied")
            with pytest.raises(errors.Conflict, match=one.options.node_name):
                await second.task
            await one.kill_child()


async def is_seen(one: Lab, name: str) -> bool:
    """The agent has told the container where it is reached, which it does without any catalog."""
    found = await containers.inspect(one.engine, name)
    return any((one.options.data / FOLDER / "instances").glob(f"{found.id}-*.env"))


# What all of them need


@asynccontextmanager
async def gently(one: Lab) -> AsyncIterator[None]:
    """Afterwards the containers are gone, several at once: one by one would take long."""
    try:
        yield
    finally:
        await one.stop()
        await one.kill_child()
        names, one.names[:] = list(one.names), []

        async def remove(number: int) -> None:
            await containers.remove(one.engine, names[number], force=True)

        await all_of(remove, len(names))


async def all_of(work: Callable[[int], Awaitable[None]], count: int) -> None:
    """`work` was done for each number, a few at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with room:
            await work(number)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))


async def mine(one: Lab) -> dict[str, int]:
    """How many endpoints of its own the agent has registered, by service."""
    found = await agent.services(one.catalog, f'Meta["{Meta.CLUSTER}"] == "{one.options.cluster}"')
    names = [service.name for service in found.values()]
    return {name: names.count(name) for name in names}


async def stamps(one: Lab, service: str) -> list[int]:
    """When each check of the service last changed."""
    return [check.modify_index for entry in await one.entries(service) for check in entry.checks]
