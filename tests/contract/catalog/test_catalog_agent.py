"""What agents do: register, report, drain, deregister."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pierhead.kit import errors
from pierhead.wire.consul import agent, catalog, health
from pierhead.wire.consul.client import Consul

pytestmark = pytest.mark.asyncio(loop_scope="session")
HOUR = timedelta(hours=1)


async def test_a_registered_service_is_found_with_everything_it_was_given(consul: Consul, name: str) -> None:
    given = agent.Registration(
        name, f"node:{name}:80", "10.1.2.3", 80, ("blue", "v1"), {"owner": "a"}, (agent.Check(ttl=HOUR),)
    )
    await agent.register(consul, given)

    (entry,), index = await health.service(consul, name)
    assert index >= 1
    assert (entry.service.id, entry.service.name, entry.address, entry.service.port) == (
        f"node:{name}:80",
        name,
        "10.1.2.3",
        80,
    )
    assert entry.service.tags == ("blue", "v1")
    assert entry.service.meta == {"owner": "a"}
    statuses = {check.id: check.status for check in entry.checks}
    assert statuses == {"serfHealth": "passing", f"service:node:{name}:80": "critical"}
    assert (await agent.services(consul))[f"node:{name}:80"] == entry.service
    assert name in (await catalog.services(consul))[0]


async def test_a_service_without_an_address_is_reached_at_its_node(consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name, port=1))
    (entry,), _ = await catalog.service(consul, name)
    assert entry.address == entry.node.address == "127.0.0.1"


async def test_names_are_found_in_any_case_and_tags_narrow(consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name, "a", tags=("Blue",)))
    await agent.register(consul, agent.Registration(name, "b", tags=("green",)))
    found, _ = await health.service(consul, name.upper(), tag="blue")
    assert [entry.service.id for entry in found] == ["a"]
    await agent.deregister(consul, "a")
    await agent.deregister(consul, "b")


@pytest.mark.parametrize("status", ["passing", "warning", "critical"])
async def test_a_ttl_check_has_the_status_it_was_told_last(consul: Consul, name: str, status: str) -> None:
    await agent.register(consul, agent.Registration(name, checks=(agent.Check(ttl=HOUR),)))
    await agent.update_check(consul, f"service:{name}", status, "because")
    (check,), _ = await health.checks(consul, name)
    found, _ = await health.service(consul, name, passing=True)
    assert len(found) == (status == "passing")
    if status != "critical":
        assert (check.status, check.output) == (status, "because")


async def test_a_ttl_check_that_is_not_kept_alive_turns_critical(consul: Consul, name: str) -> None:
    check = agent.Check(ttl=timedelta(milliseconds=300), status="passing")
    await agent.register(consul, agent.Registration(name, checks=(check,)))
    _, index = await health.service(consul, name, passing=True)
    found, _ = await health.service(consul, name, passing=True, index=index, wait=timedelta(seconds=5))
    assert found == ()
    (late,), _ = await health.checks(consul, name)
    assert late.output.startswith("TTL expired")


async def test_a_ttl_check_that_was_kept_alive_turns_critical_when_that_ends(consul: Consul, name: str) -> None:
    check = agent.Check(ttl=timedelta(milliseconds=500), status="passing")
    await agent.register(consul, agent.Registration(name, checks=(check,)))
    for _ in range(3):
        await asyncio.sleep(0.1)
        await agent.update_check(consul, f"service:{name}", "passing")
    _, index = await health.service(consul, name, passing=True)
    found, _ = await health.service(consul, name, passing=True, index=index, wait=timedelta(seconds=5))
    assert found == ()


async def test_registering_again_keeps_the_status_and_the_index(consul: Consul, name: str) -> None:
    given = agent.Registration(name, port=5, checks=(agent.Check(ttl=HOUR, status="passing"),))
    await agent.register(consul, given)
    await agent.update_check(consul, f"service:{name}", "critical", "down")
    (first,), before = await health.service(consul, name)
    await agent.register(consul, given)
    (second,), after = await health.service(consul, name)
    assert (second, after) == (first, before)


async def test_checks_stay_unless_they_are_replaced(consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name, checks=(agent.Check(ttl=HOUR),)))
    await agent.register(consul, agent.Registration(name, port=1), replace_checks=False)
    assert len((await health.checks(consul, name))[0]) == 1
    await agent.register(consul, agent.Registration(name, port=2), replace_checks=True)
    assert (await health.checks(consul, name))[0] == ()


async def test_several_checks_are_numbered(consul: Consul, name: str) -> None:
    checks = (agent.Check(ttl=HOUR), agent.Check(ttl=HOUR), agent.Check(id=f"mine-{name}", ttl=HOUR))
    await agent.register(consul, agent.Registration(name, checks=checks))
    found, _ = await health.checks(consul, name)
    assert [check.id for check in found] == [f"mine-{name}", f"service:{name}:1", f"service:{name}:2"]


async def test_maintenance_drains_a_service_until_it_ends(consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name))
    await agent.maintenance(consul, name, enable=True, reason="deploy")
    await agent.maintenance(consul, name, enable=True, reason="again")
    (check,), _ = await health.checks(consul, name)
    assert (check.id, check.status, check.notes) == (f"_service_maintenance:{name}", "critical", "deploy")
    assert (await health.service(consul, name, passing=True))[0] == ()
    await agent.maintenance(consul, name, enable=False)
    assert len((await health.service(consul, name, passing=True))[0]) == 1


async def test_maintenance_of_the_node_drains_what_is_on_it(consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name))
    await agent.node_maintenance(consul, enable=True)
    try:
        assert (await health.service(consul, name, passing=True))[0] == ()
        assert "_node_maintenance" in await agent.checks(consul)
    finally:
        await agent.node_maintenance(consul, enable=False)
    assert len((await health.service(consul, name, passing=True))[0]) == 1


async def test_a_deregistered_service_is_gone_with_its_checks(consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name, checks=(agent.Check(ttl=HOUR),)))
    await agent.deregister(consul, name)
    assert (await health.service(consul, name))[0] == ()
    assert (await health.checks(consul, name))[0] == ()
    assert name not in (await catalog.services(consul))[0]
    assert f"service:{name}" not in await agent.checks(consul)


async def test_what_is_not_there_cannot_be_reported_on(consul: Consul, name: str) -> None:
    with pytest.raises(errors.NotFound):
        await agent.update_check(consul, name, "passing")
    with pytest.raises(errors.NotFound):
        await agent.maintenance(consul, name, enable=True)
    with pytest.raises(errors.NotFound):
        await agent.register_check(consul, agent.Check(name=name, ttl=HOUR), service_id=name)
    with pytest.raises(errors.NotFound):
        await agent.service(consul, name)


async def test_the_agent_says_who_it_is(consul: Consul) -> None:
    config = (await agent.self_(consul))["Config"]
    assert (config["Datacenter"], config["NodeName"]) == ("dc1", "probe")
    assert [int(part) for part in config["Version"].split(".")] >= [1, 8, 7]


async def test_a_filter_keeps_what_it_says(consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name, f"{name}-1", port=1, meta={"k": "v"}, tags=("x",)))
    await agent.register(consul, agent.Registration(name, f"{name}-2", port=2))
    for expression in (
        f'Service == "{name}" and Meta.k == v',
        f'Service == "{name}" and "x" in Tags',
        f"Service == {name} and Tags contains x and not (Port == 2)",
        f'ID matches "^{name}-1$"',
        f'Service == "{name}" and Tags is not empty',
    ):
        assert list(await agent.services(consul, expression)) == [f"{name}-1"], expression
    with pytest.raises(errors.PierError, match="boolean expression"):
        await agent.services(consul, "Service ==")
