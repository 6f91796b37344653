"""A node that is being drained: others are ready elsewhere before it is left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pierhead.control.nodes import Moving
from pierhead.model.app import Strategy
from pierhead.release import leaving
from pierhead.release.group import Group, Member
from pierhead.release.picture import Running, Target
from pierhead.release.plan import plan
from pierhead.wire.docker.services import Service
from pierhead.wire.docker.tasks import Task

TARGET = Target("notes-dev-v2", 2)
LEAVING, LEFT = Moving(leaving=frozenset({"a"})), Moving(left=frozenset({"a"}))


def group(*nodes: str, desired: str = "running") -> Group:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    tasks = [Task("t", "s", node, "c", "running", desired, "", None, at, has_ports=True) for node in nodes]
    return Group(TARGET.name, (Member(Service("s", TARGET.name, 1, {}, len(nodes)), tasks),))


def running(*ready: str, replicas: int = 2) -> Running:
    return Running(TARGET.name, replicas, alive=replicas, ready=len(ready), nodes=ready)


def test_as_many_are_raised_elsewhere_as_the_node_has() -> None:
    raised = leaving.raised(TARGET, group("a", "b"), running("a", "b"), LEAVING)
    assert raised.replicas == 3
    assert str(plan(raised, [running("a", "b")])) == "scale notes-dev-v2: 2 to 3, 3 wanted"


@pytest.mark.parametrize(
    ("ready", "text"),
    [
        (("a", "b"), "notes-dev-v2: 1 of 2 ready elsewhere"),
        (("a", "b", "b"), ""),
        (("b", "b"), ""),
    ],
)
def test_it_is_left_when_enough_are_ready_elsewhere(ready: tuple[str, ...], text: str) -> None:
    assert leaving.reason(TARGET, group("a", "b", "b"), running(*ready, replicas=3), LEAVING) == text


def test_what_was_raised_stays_until_everything_is_ready() -> None:
    there = group("b", "b", "c")
    assert leaving.raised(TARGET, there, running("b", "b", replicas=3), LEFT).replicas == 3
    assert leaving.reason(TARGET, there, running("b", "b", replicas=3), LEFT) == "notes-dev-v2: 2 of 3 ready"
    assert leaving.raised(TARGET, there, running("b", "b", "c", replicas=3), LEFT).replicas == 2


def test_an_app_that_must_not_run_twice_is_neither_raised_nor_waited_for() -> None:
    target = replace(TARGET, strategy=Strategy.STOP_FIRST)
    assert leaving.raised(target, group("a"), running("a", replicas=1), LEAVING) == target
    assert leaving.reason(target, group("a"), running("a", replicas=1), LEAVING) == ""


def test_a_deployment_comes_first_where_the_node_has_instances() -> None:
    target = replace(TARGET, moving=timedelta(seconds=1))
    assert leaving.reason(target, group("a", "b"), running("a", "b"), LEAVING) == "notes-dev-v2 is on its way"
    assert leaving.reason(target, group("b", "b"), running("b", "b"), LEAVING) == ""
    assert leaving.reason(target, None, None, LEAVING) == ""
