"""The release plan: what it prints for each picture, and what holds in every state that it can lead to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.model.app import Strategy
from pierhead.release.plan import FAILURES_LIMIT, Running, Target, plan

MOVING = timedelta(seconds=1)


def target(replicas: int = 2, **changes: object) -> Target:
    return replace(Target("notes-dev-v2", replicas, moving=MOVING), **changes)  # type: ignore[arg-type]


def service(name: str, replicas: int, ready: int | None = None, **changes: object) -> Running:
    ready = replicas if ready is None else ready
    return replace(Running(name, replicas, alive=replicas, ready=ready), **changes)  # type: ignore[arg-type]


OLD = service("notes-dev-v1", 2)


@pytest.mark.parametrize(
    ("wanted", "running", "text"),
    [
        (target(), [], "create notes-dev-v2: 0 of 2 running"),
        (target(), [OLD], "create notes-dev-v2: 0 of 2 running"),
        (target(), [OLD, service("notes-dev-v2", 1, 0)], "wait notes-dev-v2: 0 of 1 ready"),
        (
            target(),
            [OLD, service("notes-dev-v2", 1)],
            "scale notes-dev-v1: 2 to 1, 1 of 2 of notes-dev-v2 ready\nscale notes-dev-v2: 1 to 2, 1 ready",
        ),
        (
            target(),
            [service("notes-dev-v1", 1), service("notes-dev-v2", 2)],
            "scale notes-dev-v1: 1 to 0, 2 of 2 of notes-dev-v2 ready",
        ),
        (
            target(),
            [service("notes-dev-v1", 0, alive=1), service("notes-dev-v2", 2)],
            "done notes-dev-v2: 2 of 2 healthy and routed",
        ),
        (
            target(),
            [service("notes-dev-v1", 0, alive=1, serving=1), service("notes-dev-v2", 2)],
            "wait notes-dev-v2: 1 old instances still get requests",
        ),
        (
            target(),
            [OLD, service("notes-dev-v2", 1, 0, failures=FAILURES_LIMIT, error="exit code 1")],
            "fail notes-dev-v2: 3 instances ended: exit code 1",
        ),
        (
            target(moving=timedelta(minutes=3)),
            [OLD, service("notes-dev-v2", 1, 0, waiting="0 of 1 healthy")],
            "fail notes-dev-v2: not ready within 120 s: 0 of 1 ready, 0 of 1 healthy",
        ),
        (
            target(strategy=Strategy.STOP_FIRST),
            [OLD],
            "scale notes-dev-v1: 2 to 0, notes-dev-v2 must not run beside it\nwait notes-dev-v2: 0 of 2 running",
        ),
        (
            target(strategy=Strategy.STOP_FIRST),
            [service("notes-dev-v1", 0, alive=1)],
            "wait notes-dev-v2: 1 old instances are leaving",
        ),
        (None, [OLD], "scale notes-dev-v1: 2 to 0, nothing is released"),
        (None, [service("notes-dev-v1", 0)], "remove notes-dev-v1: nothing is released"),
        (None, [service("notes-dev-v1", 0, forgetting=1)], ""),
        (target(moving=None), [service("notes-dev-v2", 2)], ""),
        (target(3, moving=None), [service("notes-dev-v2", 2)], "scale notes-dev-v2: 2 to 3, 3 wanted"),
        (
            target(moving=None),
            [service("notes-dev-v3", 1, 0), service("notes-dev-v2", 2, 1)],
            "scale notes-dev-v3: 1 to 0, notes-dev-v2 is the release",
        ),
        (target(moving=None), [service("notes-dev-v3", 1), service("notes-dev-v2", 2, 1)], ""),
    ],
)
def test_the_next_steps_read_as_the_promise(wanted: Target | None, running: list[Running], text: str) -> None:
    assert str(plan(wanted, running)) == text


def applied(running: list[Running], wanted: Target) -> tuple[list[Running], str]:
    """The state after the steps have been carried out, and the last step's kind."""
    services = {one.name: one for one in running}
    kind = ""
    for step in plan(wanted, running).steps:
        kind = step.kind
        if step.kind == "create":
            services[step.target] = Running(step.target, step.data, alive=0, ready=0)
        elif step.kind == "scale":
            one = services[step.target]
            services[step.target] = replace(one, replicas=step.data, ready=min(one.ready, step.data))
        elif step.kind == "remove":
            del services[step.target]
    return list(services.values()), kind


@given(
    old=st.integers(0, 6),
    replicas=st.integers(1, 6),
    step=st.integers(1, 4),
    pace=st.lists(st.integers(0, 3), min_size=60, max_size=60),
)
def test_a_rolling_deployment_keeps_its_promise_in_every_state_and_ends(
    old: int, replicas: int, step: int, pace: list[int]
) -> None:
    wanted = Target("v2", replicas, step=step, moving=MOVING)
    running = [service("v1", old)] if old else []
    kind = ""
    for ready in [*pace, *[6] * 60]:
        running, kind = applied(running, wanted)
        assert sum(one.ready for one in running) >= min(old, replicas)
        assert sum(one.replicas for one in running) <= max(old, replicas) + step
        if kind == "done":
            break
        running = [replace(one, ready=min(one.replicas, one.ready + ready), alive=one.replicas) for one in running]
    assert kind == "done"
    assert [(one.name, one.replicas) for one in running if one.replicas] == [("v2", replicas)]


@given(old=st.integers(1, 4), replicas=st.integers(1, 4))
def test_stop_first_never_runs_two_releases_at_once(old: int, replicas: int) -> None:
    wanted = Target("v2", replicas, strategy=Strategy.STOP_FIRST, moving=MOVING)
    running = [service("v1", old)]
    kind = ""
    for _ in range(20):
        running, kind = applied(running, wanted)
        assert sum(bool(one.alive or one.replicas) for one in running) <= 1
        if kind == "done":
            break
        running = [replace(one, alive=one.replicas, ready=one.replicas) for one in running]
    assert kind == "done"
