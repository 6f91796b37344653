"""Blocking queries: who is woken, by what, and who is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from time import monotonic
from typing import TypeVar

import pytest

from pierhead.kit import errors
from pierhead.wire.consul import agent, catalog, health, kv
from pierhead.wire.consul.client import Consul

pytestmark = pytest.mark.asyncio(loop_scope="session")
LONG = timedelta(seconds=20)
SHORT = timedelta(milliseconds=400)
T = TypeVar("T")


async def woken(waiting: Awaitable[T], change: Awaitable[object]) -> T:
    """What the query answers once the change is made; it fails when that takes as long as nothing happening."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_of(waiting))
        await asyncio.sleep(0.1)
        assert not task.done(), "the query answered before anything changed"
        await change
        async with asyncio.timeout(5):
            return await task


async def _of(waiting: Awaitable[T]) -> T:
    return await waiting


async def test_a_service_s_watcher_hears_of_its_instances_and_checks(consul: Consul, name: str) -> None:
    check = agent.Check(ttl=timedelta(hours=1), status="passing")
    _, index = await health.service(consul, name)
    await agent.register(consul, agent.Registration(name, checks=(check,)))
    found, index = await health.service(consul, name)
    assert len(found) == 1

    changed = agent.Registration(name, port=9, checks=(check,))
    found, index = await woken(health.service(consul, name, index=index, wait=LONG), agent.register(consul, changed))
    assert found[0].service.port == 9
    found, index = await woken(
        health.service(consul, name, passing=True, index=index, wait=LONG),
        agent.update_check(consul, f"service:{name}", "critical"),
    )
    assert found == ()
    found, index = await woken(
        health.service(consul, name, index=index, wait=LONG), agent.maintenance(consul, name, enable=True)
    )
    found, _ = await woken(health.service(consul, name, index=index, wait=LONG), agent.deregister(consul, name))
    assert found == ()


async def test_the_list_of_services_and_of_checks_can_be_watched(consul: Consul, name: str) -> None:
    _, index = await catalog.services(consul)
    check = agent.Check(ttl=timedelta(hours=1))
    found, _ = await woken(
        catalog.services(consul, index=index, wait=LONG),
        agent.register(consul, agent.Registration(name, checks=(check,))),
    )
    assert name in found
    _, index = await health.state(consul)
    checks, _ = await woken(
        health.state(consul, index=index, wait=LONG), agent.update_check(consul, f"service:{name}", "passing")
    )
    assert {each.id: each.status for each in checks}[f"service:{name}"] == "passing"


async def test_nothing_new_answers_after_the_wait_with_the_same_index(consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name))
    before, index = await health.service(consul, name)
    begun = monotonic()
    after, same = await health.service(consul, name, index=index, wait=SHORT)
    assert 0.4 <= monotonic() - begun < 1.5
    assert (after, same) == (before, index)


async def test_an_index_from_the_future_waits_and_starts_over(consul: Consul, name: str) -> None:
    await kv.put(consul, name, b"1")
    begun = monotonic()
    pair, index = await kv.get(consul, name, index=1 << 40, wait=SHORT)
    assert monotonic() - begun >= 0.4
    assert pair
    assert index == 0


async def test_a_key_s_watcher_is_not_woken_by_other_keys(consul: Consul, name: str) -> None:
    await kv.put(consul, f"{name}/a", b"1")
    _, index = await kv.get(consul, f"{name}/a")
    _, tree = await kv.get_tree(consul, f"{name}/a")
    async with asyncio.TaskGroup() as group:
        one = group.create_task(_of(kv.get(consul, f"{name}/a", index=index, wait=SHORT)))
        many = group.create_task(_of(kv.get_tree(consul, f"{name}/a", index=tree, wait=SHORT)))
        await kv.put(consul, f"{name}/b", b"1")
    assert one.result()[1] == index
    assert many.result()[1] == tree


async def test_keys_wake_their_watchers_and_those_of_their_prefix(consul: Consul, name: str) -> None:
    await kv.put(consul, f"{name}/a", b"1")
    pairs, index = await kv.get_tree(consul, name)
    pairs, index = await woken(kv.get_tree(consul, name, index=index, wait=LONG), kv.put(consul, f"{name}/b", b"2"))
    assert [pair.key for pair in pairs] == [f"{name}/a", f"{name}/b"]
    pairs, index = await woken(kv.get_tree(consul, name, index=index, wait=LONG), kv.delete(consul, f"{name}/a"))
    assert [pair.key for pair in pairs] == [f"{name}/b"]
    pair, index = await kv.get(consul, f"{name}/b")
    pair, index = await woken(kv.get(consul, f"{name}/b", index=index, wait=LONG), kv.delete(consul, f"{name}/b"))
    assert pair is None
    pair, _ = await woken(kv.get(consul, f"{name}/b", index=index, wait=LONG), kv.put(consul, f"{name}/b", b"3"))
    assert pair
    assert pair.value == b"3"


async def test_unchanged_writes_wake_nobody(consul: Consul, name: str) -> None:
    await kv.put(consul, name, b"same")
    _, index = await kv.get(consul, name)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_of(kv.get(consul, name, index=index, wait=SHORT)))
        await kv.put(consul, name, b"same")
    assert task.result()[1] == index


@pytest.mark.parametrize(
    "query", ["index=abc", "index=-1", "wait=5", "index=99999999999999999999999", "stale&consistent"]
)
async def test_parameters_that_mean_nothing_are_refused(consul: Consul, query: str) -> None:
    params = dict(part.partition("=")[::2] for part in query.split("&"))
    with pytest.raises(errors.Invalid):
        await consul.get("/v1/catalog/services", params)


async def test_one_service_of_the_agent_is_watched_by_the_hash_of_its_content(consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name, port=1))
    path = f"/v1/agent/service/{name}"
    known = (await consul.get(path)).json()["ContentHash"]
    begun = monotonic()
    same = (await consul.get(path, {"hash": known, "wait": "400ms"})).json()
    assert monotonic() - begun >= 0.4
    assert same["ContentHash"] == known
    changed = await woken(
        consul.get(path, {"hash": known, "wait": "4s"}), agent.register(consul, agent.Registration(name, port=2))
    )
    assert changed.json()["Port"] == 2
    assert changed.json()["ContentHash"] != known
    await agent.deregister(consul, name)
