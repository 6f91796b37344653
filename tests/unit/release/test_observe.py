"""When an instance is ready: it runs, its endpoints are healthy, and every gateway sends requests to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pierhead.model import dot_pier
from pierhead.model.app import Port, Protocol, Spec
from pierhead.model.instance import Endpoint, Meta, State
from pierhead.release.group import Group, Member
from pierhead.release.observe import Traffic, running
from pierhead.wire.docker.services import Service
from pierhead.wire.docker.tasks import Task

SERVICE = Service("s1", "notes-dev-v1", 1, {}, replicas=1)
TASK = Task(
    id="t1",
    service="s1",
    node="n1",
    container="c1",
    state="running",
    desired="running",
    error="",
    exit_code=0,
    changed_at=datetime(2026, 1, 1, tzinfo=UTC),
    has_ports=True,
)
SPEC = Spec("notes", ports=(Port("web", 8000),))
HEALTHY = Endpoint("e1", "notes-dev", "127.0.0.1", 32768, State.HEALTHY, {Meta.INSTANCE: "c1", Meta.PORT: "web"})
ROUTED = Traffic((HEALTHY,), frozenset({"e1"}), frozenset({"e1"}), gateways=1)


def group(*tasks: Task) -> Group:
    return Group(SERVICE.name, (Member(SERVICE, tasks),))


def seen(traffic: Traffic, task: Task = TASK, spec: Spec | None = SPEC) -> tuple[int, str]:
    found = running(group(task), spec, traffic)
    return found.ready, found.waiting


def test_healthy_and_routed_is_ready() -> None:
    assert seen(ROUTED) == (1, "")


def test_what_is_in_the_way_is_named() -> None:
    unhealthy = replace(HEALTHY, state=State.UNHEALTHY, output="GET /: 500")
    assert seen(Traffic((unhealthy,), gateways=1)) == (0, "127.0.0.1:32768 is unhealthy: GET /: 500")
    assert seen(Traffic(gateways=1)) == (0, "c1 is not registered in the catalog yet")
    assert seen(Traffic((HEALTHY,), gateways=2)) == (0, "not routed by every gateway yet")
    assert seen(Traffic((HEALTHY,))) == (0, "no gateway has reported to the catalog")
    pending = replace(TASK, state="pending", error="no suitable node (insufficient memory)")
    assert seen(ROUTED, pending) == (0, "pending: no suitable node (insufficient memory)")


def test_an_app_without_ports_is_ready_when_it_runs() -> None:
    assert seen(Traffic(), spec=Spec("worker")) == (1, "")


def test_dubbo_is_ready_without_a_gateway() -> None:
    rpc = replace(HEALTHY, meta={Meta.INSTANCE: "c1", Meta.PORT: "rpc"})
    assert seen(Traffic((rpc,)), spec=Spec("pay", ports=(Port("rpc", 20880, Protocol.DUBBO),))) == (1, "")


def test_every_port_must_answer() -> None:
    spec = Spec("notes", ports=(Port("web", 8000), Port("admin", 9000)))
    assert seen(ROUTED, spec=spec)[0] == 0


def test_an_unknown_release_is_never_ready() -> None:
    assert seen(ROUTED, spec=None)[0] == 0


def test_ended_instances_are_counted_with_what_the_last_one_said() -> None:
    ended = replace(TASK, id="t0", state="failed", desired="shutdown", error="task: non-zero exit (3)")
    found = running(group(ended, TASK), SPEC, ROUTED)
    assert (found.alive, found.failures, found.error) == (1, 1, "task: non-zero exit (3)")


def test_an_instance_that_leaves_is_alive_and_serves_until_no_gateway_reaches_it() -> None:
    leaving = replace(TASK, desired="shutdown")
    found = running(group(leaving), SPEC, ROUTED)
    assert (found.alive, found.ready, found.serving) == (1, 0, 1)
    assert running(group(leaving), SPEC, Traffic((HEALTHY,), gateways=1)).serving == 0


def test_what_says_nothing_of_the_release_is_no_failure_of_it() -> None:
    folder = Path("/srv/dot_pier")
    error = dot_pier.explained(f"invalid mount config: bind source path does not exist: {folder}", folder)
    rejected = replace(TASK, container="", state="rejected", desired="shutdown", error=error)
    found = running(group(*[rejected] * 5), SPEC, Traffic())
    assert (found.failures, found.waiting) == (0, error)
    taken = replace(rejected, error="Bind for 0.0.0.0:20001 failed: port is already allocated")
    assert running(group(taken), SPEC, Traffic()).failures == 1
    one = Group("notes-dev-v1", (Member(replace(SERVICE, name="notes-dev-v1-20001"), (taken,)),))
    assert running(one, SPEC, Traffic()).failures == 0
