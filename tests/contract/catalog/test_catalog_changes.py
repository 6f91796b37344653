"""What changed: the embedded catalog tells it, a real Consul does not know the question; both can be followed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pierhead.kit import errors
from pierhead.wire.consul import agent, changes, health
from pierhead.wire.consul.client import Consul

pytestmark = pytest.mark.asyncio(loop_scope="session")
LONG = timedelta(seconds=20)


def registration(name: str, status: str = "passing") -> agent.Registration:
    return agent.Registration(name, checks=(agent.Check(ttl=timedelta(hours=1), status=status),))


async def test_only_the_embedded_catalog_says_what_changed_and_names_only_that(
    consul: Consul, kind: str, name: str
) -> None:
    first = await changes.since(consul, 0)
    if kind == "real":
        assert first is None
        return
    assert first is not None
    assert not first.is_complete
    await agent.register(consul, registration(name))
    found = await changes.since(consul, first.index, wait=LONG)
    assert found is not None
    assert found.is_complete
    assert found.services == {name}
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(changes.since(consul, found.index, wait=LONG))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await agent.maintenance(consul, name, enable=True)
    found = waiting.result()
    assert found is not None
    assert found.services == {name}
    await agent.deregister(consul, name)
    found = await changes.since(consul, found.index, wait=LONG)
    assert found is not None
    assert found.services == {name}


async def test_two_answers_of_all_checks_tell_what_changed_between_them(consul: Consul, name: str) -> None:
    await agent.register(consul, registration(name))
    await agent.register(consul, registration(f"{name}-other"))
    before, index = await changes.checks(consul, 0)
    await agent.update_check(consul, f"service:{name}", "critical", "it broke")
    now, index = await changes.checks(consul, index, wait=LONG)
    assert name in changes.between(before, now) <= {name, f"{name}-other"}
    await agent.deregister(consul, f"{name}-other")
    after, _ = await changes.checks(consul, index, wait=LONG)
    assert f"{name}-other" in changes.between(now, after) <= {name, f"{name}-other"}
    assert (await health.service(consul, name))[0]


async def test_only_the_embedded_catalog_tells_several_services_at_once_and_as_it_tells_each(
    consul: Consul, kind: str, name: str
) -> None:
    await agent.register(consul, registration(name))
    await agent.register(consul, registration(f"{name}-other", "critical"))
    names = [name, f"{name}-other", f"{name}-nobody"]
    found = await changes.now(consul, names)
    if kind == "real":
        assert found is None
        return
    assert found is not None
    assert found[0] == {one: (await health.service(consul, one))[0] for one in names}
    assert found[1] > 0
    with pytest.raises(errors.Refused):
        await changes.now(consul, [f"{name}-{number}" for number in range(65)])
