"""From what the catalog holds to what it should hold; the plan's text is what is expected."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.unit.agent.agent_parts import NODE, container

from pierhead.agent import health, mirror, own, plan
from pierhead.agent.endpoint import CRITICAL, PASSING, Endpoint, Held, Kind
from pierhead.agent.health import Health
from pierhead.agent.plan import DRAIN_REASON, Wanted
from pierhead.kit import errors
from pierhead.model.instance import Label, Meta
from pierhead.wire.docker.containers import Container

LABELS = {
    Label.CLUSTER: "pier",
    Label.APP: "notes",
    Label.ENVIRONMENT: "dev",
    Label.RELEASE: "v3",
    Label.PORTS: json.dumps(
        [
            {"name": "web", "port": 8000, "protocol": "http", "service": "notes-dev"},
            {"name": "admin", "port": 9000, "protocol": "http", "service": "notes-dev-admin"},
        ]
    ),
    Label.HEALTH: json.dumps({"probe": "http", "path": "/up", "port": "web", "interval_seconds": 7}),
}
PORTS = {"8000/tcp": [("127.0.0.1", 32768)], "9000/tcp": [("0.0.0.0", 32769)]}


@pytest.fixture
def notes() -> Container:
    return container(PORTS, labels=LABELS)


@pytest.fixture
def endpoint(notes: Container) -> Endpoint:
    return plan.endpoints(NODE, notes)[0]


def held(endpoint: Endpoint, status: str = PASSING, output: str = "", maintenance: str | None = None) -> Held:
    return replace(mirror.after(Wanted(endpoint, status), None), output=output, maintenance=maintenance)


def test_labels_of_pierheads_own_containers_become_endpoints(notes: Container) -> None:
    web, admin = plan.endpoints(NODE, notes)
    assert (web.id, web.service, web.address, web.port) == ("n1:web1:8000", "notes-dev", "127.0.0.1", 32768)
    assert (admin.id, admin.service, admin.address, admin.port) == (
        "n1:web1:9000",
        "notes-dev-admin",
        "10.0.0.5",
        32769,
    )
    assert web.tags == ("dev", "v3")
    assert (web.meta[Meta.PORT], web.meta[Meta.RELEASE], web.meta[Meta.CLUSTER]) == ("web", "v3", "pier")
    assert (web.probe.kind, web.probe.path, web.probe.interval.total_seconds()) == (Kind.HTTP, "/up", 7)
    assert admin.probe.kind is Kind.TCP


def test_another_clusters_container_is_left_alone(notes: Container) -> None:
    assert plan.endpoints(replace(NODE, cluster="other"), notes) == []


def test_a_container_that_ended_has_no_endpoints(notes: Container) -> None:
    assert plan.endpoints(NODE, replace(notes, running=False)) == []


@pytest.mark.parametrize("ports", ["{", "{}", '[{"name": "web"}]', "[1]"])
def test_a_label_that_cannot_be_read_is_refused(notes: Container, ports: str) -> None:
    with pytest.raises(errors.Invalid, match="web1"):
        plan.endpoints(NODE, replace(notes, labels={**LABELS, Label.PORTS: ports}))


def test_an_unreadable_stop_label_means_the_usual(notes: Container) -> None:
    found = own.stop(replace(notes, labels={**LABELS, Label.STOP: "{"}))
    assert (found.signal, found.drain.total_seconds(), found.stop.total_seconds()) == ("", 30, 10)


def test_what_is_missing_is_registered(endpoint: Endpoint) -> None:
    steps = plan.plan([Wanted(endpoint, CRITICAL)], [])
    assert str(steps) == "register n1:web1:8000: notes-dev at 127.0.0.1:32768"


def test_what_fails_already_is_registered_with_its_reason(endpoint: Endpoint) -> None:
    steps = plan.plan([Wanted(endpoint, CRITICAL, "404 Not Found")], [])
    assert [step.kind for step in steps.steps] == ["register", "fail"]


def test_what_is_as_it_should_be_changes_nothing(endpoint: Endpoint) -> None:
    assert not plan.plan([Wanted(endpoint, PASSING, "200 OK")], [held(endpoint, output="something else")])
    assert not plan.plan([Wanted(endpoint, CRITICAL, "404")], [held(endpoint, CRITICAL, "404")])


def test_what_is_no_longer_there_is_deregistered(endpoint: Endpoint) -> None:
    assert str(plan.plan([], [held(endpoint)])).startswith("deregister n1:web1:8000: ")


def test_a_change_of_status_is_told(endpoint: Endpoint) -> None:
    assert str(plan.plan([Wanted(endpoint, PASSING, "200 OK")], [held(endpoint, CRITICAL)])) == (
        "pass n1:web1:8000: 200 OK"
    )
    assert str(plan.plan([Wanted(endpoint, CRITICAL, "refused")], [held(endpoint)])) == "fail n1:web1:8000: refused"
    assert str(plan.plan([Wanted(endpoint, CRITICAL, "500")], [held(endpoint, CRITICAL, "404")])) == (
        "fail n1:web1:8000: 500"
    )


def test_a_moved_endpoint_is_registered_again(endpoint: Endpoint) -> None:
    before = replace(held(endpoint), port=1, tags=())
    assert str(plan.plan([Wanted(endpoint, PASSING)], [before])) == "register n1:web1:8000: address, tags changed"


def test_a_lost_check_is_registered_again(endpoint: Endpoint) -> None:
    steps = plan.plan([Wanted(endpoint, PASSING)], [held(endpoint, status="")])
    assert [step.kind for step in steps.steps] == ["register", "pass"]


def test_another_container_of_the_same_name_begins_anew(endpoint: Endpoint) -> None:
    before = replace(held(endpoint), meta={**endpoint.meta, Meta.INSTANCE: "d" * 64})
    steps = plan.plan([Wanted(endpoint, CRITICAL)], [before])
    assert [step.kind for step in steps.steps] == ["deregister", "register"]


def test_a_drain_is_maintenance_and_nothing_else(endpoint: Endpoint) -> None:
    draining = Wanted(endpoint, CRITICAL, "refused", is_draining=True)
    assert str(plan.plan([draining], [held(endpoint)])) == "drain n1:web1:8000: its container is to stop"
    assert not plan.plan([draining], [held(endpoint, maintenance=DRAIN_REASON)])


def test_what_drains_is_not_registered_again(endpoint: Endpoint) -> None:
    assert not plan.plan([Wanted(endpoint, CRITICAL, is_draining=True)], [])


def test_the_agents_own_maintenance_ends_with_the_drain_and_a_persons_stays(endpoint: Endpoint) -> None:
    now = Wanted(endpoint, PASSING)
    assert str(plan.plan([now], [held(endpoint, maintenance=DRAIN_REASON)])) == (
        "return n1:web1:8000: its container goes on"
    )
    assert not plan.plan([now], [held(endpoint, maintenance="the disk is changed")])


def test_a_check_that_others_heartbeat_is_left_to_them(notes: Container) -> None:
    there = container({"80/tcp": [("", 1)]}, {"SERVICE_CHECK_TTL": "30s"})
    (found,) = plan.endpoints(NODE, there)
    (wanted,) = plan.wanted(there, [found], {}, is_draining=False)
    assert not plan.plan([wanted], [held(found, PASSING)])
    assert not plan.plan([wanted], [held(found, CRITICAL, "TTL expired")])


def status(there: Container, seen: Health | None = None) -> tuple[str, str]:
    endpoint = plan.endpoints(NODE, there)[0]
    healths = {endpoint.id: seen} if seen else {}
    (wanted,) = plan.wanted(there, [endpoint], healths, is_draining=False)
    return wanted.status, wanted.output


def test_a_probe_decides_where_there_is_one(notes: Container) -> None:
    passing = Health(PASSING, "200 OK")
    assert status(notes) == (CRITICAL, "")
    assert status(notes, passing) == (PASSING, "200 OK")
    assert status(replace(notes, health="starting"), passing) == (PASSING, "200 OK")
    assert status(replace(notes, health="unhealthy", health_output="no"), passing) == (
        CRITICAL,
        "HEALTHCHECK: unhealthy: no",
    )
    assert status(replace(notes, paused=True), passing) == (CRITICAL, "its container is paused")


def test_without_a_probe_the_healthcheck_decides() -> None:
    there = container({"80/tcp": [("", 1)]})
    assert status(there)[0] == PASSING
    assert status(replace(there, health="starting"))[0] == CRITICAL
    assert status(replace(there, health="healthy"))[0] == PASSING
    assert status(replace(there, health="unhealthy"))[0] == CRITICAL


def test_an_agent_that_starts_again_goes_on_from_the_catalog(endpoint: Endpoint) -> None:
    assert plan.passing([endpoint], [held(endpoint)]) == {endpoint.id}
    assert plan.passing([endpoint], [held(endpoint, CRITICAL)]) == set()
    assert plan.passing([endpoint], [replace(held(endpoint), port=1)]) == set()
    assert plan.passing([endpoint], [replace(held(endpoint), meta={Meta.INSTANCE: "other"})]) == set()
    assert health.start(endpoint.probe, is_passing=True).status == PASSING
