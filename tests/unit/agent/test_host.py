"""What the catalog is to hold of a host service."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.agent.agent_parts import NODE

from pierhead.agent import host, mirror, plan
from pierhead.agent.endpoint import CRITICAL, PASSING, Held, Kind
from pierhead.agent.health import Health
from pierhead.agent.plan import DRAIN_REASON
from pierhead.model.app import Protocol
from pierhead.model.host import Check, Service
from pierhead.model.instance import Meta

WIKI = Service("wiki", "wiki", 8090)
BILLING = Service(
    "billing-vm",
    "billing-production",
    8080,
    protocol=Protocol.HTTP,
    meta={"owner": "people"},
    check=Check("http", "/up", interval=timedelta(seconds=3), rise=2, fall=4),
    weight=40,
    route="billing.example.com/",
    app="billing",
    environment="production",
    release="host",
)


def held(service: Service, status: str = PASSING, maintenance: str | None = None) -> Held:
    found = host.endpoint(NODE, service)
    return replace(mirror.after(plan.Wanted(found, status), None), maintenance=maintenance)


def test_a_host_service_is_an_endpoint_like_a_containers() -> None:
    found = host.endpoint(NODE, BILLING)
    assert (found.id, found.service, found.address, found.port) == (
        "n1:billing-vm",
        "billing-production",
        "10.0.0.5",
        8080,
    )
    assert found.tags == ("production", "host")
    assert found.meta == {
        "owner": "people",
        Meta.OWNER: "node-id",
        Meta.KIND: "host",
        Meta.NODE: "n1",
        Meta.INSTANCE: "host:billing-vm",
        Meta.APP: "billing",
        Meta.ENVIRONMENT: "production",
        Meta.RELEASE: "host",
        Meta.CLUSTER: "pier",
        Meta.PROTOCOL: "http",
        Meta.ROUTE: "billing.example.com/",
        Meta.WEIGHT: "40",
    }
    assert (found.probe.kind, found.probe.path, found.probe.rise, found.probe.fall) == (Kind.HTTP, "/up", 2, 4)


def test_nothing_is_said_that_the_file_does_not_say() -> None:
    found = host.endpoint(NODE, WIKI)
    assert found.tags == ()
    assert found.meta.keys() == {Meta.OWNER, Meta.KIND, Meta.NODE, Meta.INSTANCE, Meta.PROTOCOL}


@pytest.mark.parametrize(
    ("check", "seen", "status"),
    [
        ("tcp", None, CRITICAL),
        ("tcp", Health(PASSING, "accepted"), PASSING),
        ("tcp", Health(CRITICAL, "refused"), CRITICAL),
        ("none", None, PASSING),
        ("ttl", None, CRITICAL),
    ],
)
def test_its_check_decides(check: str, seen: Health | None, status: str) -> None:
    found = host.endpoint(NODE, replace(WIKI, check=Check(check)))
    assert host.wanted(found, {found.id: seen} if seen else {}).status == status


def test_what_leaves_is_drained_before_it_is_deregistered() -> None:
    there = held(WIKI)
    (leaving,) = host.leaving([there])
    assert str(plan.plan([leaving], [there])) == (
        "drain n1:wiki: its file does not have it any more, or its drain was asked for"
    )
    drained = replace(there, maintenance=DRAIN_REASON)
    assert not plan.plan([leaving], [drained])
    assert str(plan.plan([], [drained])) == "deregister n1:wiki: it has left"


def test_what_comes_back_while_it_drains_is_used_again() -> None:
    wanted = host.wanted(host.endpoint(NODE, WIKI), {"n1:wiki": Health(PASSING)})
    assert str(plan.plan([wanted], [held(WIKI, maintenance=DRAIN_REASON)])) == "return n1:wiki: its file has it again"


def test_another_ttl_is_registered_again() -> None:
    before = replace(WIKI, check=Check("ttl", interval=timedelta(seconds=30)))
    after = replace(WIKI, check=Check("ttl", interval=timedelta(seconds=9)))
    wanted = host.wanted(host.endpoint(NODE, after), {})
    assert str(plan.plan([wanted], [held(before)])) == "register n1:wiki: meta changed"
    assert not plan.plan([wanted], [held(after)])


def test_a_container_at_the_same_place_is_a_rival() -> None:
    found = host.endpoint(NODE, WIKI)
    other = replace(held(WIKI), id="n1:web:80", meta={Meta.KIND: "container"})
    assert host.rival(found, [other, held(WIKI)]) == other
    assert host.rival(found, [replace(other, port=1), held(WIKI)]) is None
