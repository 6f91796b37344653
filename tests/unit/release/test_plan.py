"""The release plan: what it prints for each picture. What holds in every state is in `test_moves`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pierhead.model.app import Stage, Strategy
from pierhead.release.picture import Hook, Running, Target
from pierhead.release.plan import FAILURES_LIMIT, LONGEST_WAIT, plan, unseen

MOVING = timedelta(seconds=1)


def target(replicas: int = 2, **changes: object) -> Target:
    return replace(Target("notes-dev-v2", replicas, moving=MOVING), **changes)  # type: ignore[arg-type]


def service(name: str, replicas: int, ready: int | None = None, **changes: object) -> Running:
    ready = replicas if ready is None else ready
    return replace(Running(name, replicas, alive=replicas, ready=ready), **changes)  # type: ignore[arg-type]


OLD = service("notes-dev-v1", 2)
NEW = service("notes-dev-v2", 2)
CANARY = target(
    4, strategy=Strategy.CANARY, base="notes-dev-v1", stages=(Stage(10, None), Stage(50, timedelta(minutes=1)))
)
BLUE_GREEN = target(
    strategy=Strategy.BLUE_GREEN,
    base="notes-dev-v1",
    stages=(Stage(0, timedelta(minutes=5)),),
    watch=timedelta(seconds=30),
)
LATER = timedelta(hours=1)


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
            target(base="notes-dev-v0"),
            [service("notes-dev-v0", 1), service("notes-dev-v1", 2, 1)],
            "scale notes-dev-v1: 2 to 1, notes-dev-v2 takes its place\ncreate notes-dev-v2: 0 of 2 running",
        ),
        (
            target(age=LONGEST_WAIT + MOVING, blocked="waits for approval"),
            [OLD],
            "fail notes-dev-v2: not done within 7 days; waits for approval",
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
        (target(strategy=Strategy.ONE_AT_A_TIME), [], "create notes-dev-v2: 0 of 2 running"),
        (
            target(strategy=Strategy.ONE_AT_A_TIME),
            [OLD],
            "scale notes-dev-v1: 2 to 1, room for one of notes-dev-v2",
        ),
        (
            target(strategy=Strategy.ONE_AT_A_TIME),
            [service("notes-dev-v1", 1, alive=2)],
            "wait notes-dev-v2: 1 old instances are leaving",
        ),
        (target(strategy=Strategy.ONE_AT_A_TIME), [service("notes-dev-v1", 1)], "create notes-dev-v2: 0 of 2 running"),
        (CANARY, [OLD], "share notes-dev-v2: 0 % of requests, so that nothing reaches it by being started"),
        (replace(CANARY, share=0), [OLD], "create notes-dev-v2: 0 of 1 running"),
        (
            replace(CANARY, share=0),
            [OLD, service("notes-dev-v2", 1)],
            "scale notes-dev-v1: 2 to 4, 4 wanted",
        ),
        (
            replace(CANARY, share=0),
            [service("notes-dev-v1", 4), service("notes-dev-v2", 1)],
            "share notes-dev-v2: 0 to 10 % of requests",
        ),
        (
            replace(CANARY, share=10, held=LATER),
            [service("notes-dev-v1", 4), service("notes-dev-v2", 2)],
            "pause notes-dev-v2: 10 % of requests, until a person continues",
        ),
        (
            replace(CANARY, share=10, is_continued=True),
            [service("notes-dev-v1", 4), service("notes-dev-v2", 2)],
            "share notes-dev-v2: 10 to 50 % of requests",
        ),
        (
            replace(CANARY, share=50, held=LATER, undecided="12 of 100 requests"),
            [service("notes-dev-v1", 4), service("notes-dev-v2", 4)],
            "pause notes-dev-v2: 12 of 100 requests",
        ),
        (
            replace(CANARY, share=50, verdict="6.2 % of 130 requests failed"),
            [service("notes-dev-v1", 4), service("notes-dev-v2", 4)],
            "fail notes-dev-v2: 6.2 % of 130 requests failed",
        ),
        (
            replace(CANARY, share=100),
            [service("notes-dev-v1", 4, serving=1), service("notes-dev-v2", 4)],
            "wait notes-dev-v2: 1 old instances still get requests",
        ),
        (
            replace(CANARY, share=100),
            [service("notes-dev-v1", 4, attached=4), service("notes-dev-v2", 4)],
            "scale notes-dev-v1: 4 to 0, notes-dev-v2 has all requests",
        ),
        (BLUE_GREEN, [OLD], "share notes-dev-v2: 0 % of requests, so that nothing reaches it by being started"),
        (replace(BLUE_GREEN, share=0), [OLD], "create notes-dev-v2: 0 of 2 running"),
        (replace(BLUE_GREEN, share=0), [OLD, NEW], "pause notes-dev-v2: 0 % of requests for 300 s"),
        (replace(BLUE_GREEN, share=0, held=LATER), [OLD, NEW], "share notes-dev-v2: 0 to 100 % of requests"),
        (replace(BLUE_GREEN, share=100), [OLD, NEW], "pause notes-dev-v2: watched for 30 s"),
        (
            replace(BLUE_GREEN, share=100),
            [OLD, replace(NEW, failures=1, error="exit code 1")],
            "fail notes-dev-v2: 1 instance ended: exit code 1",
        ),
        (target(watch=LATER), [NEW], "share notes-dev-v2: all requests"),
        (target(before=Hook.DUE), [OLD], "run notes-dev-v2: pre_deploy"),
        (target(before=Hook.RUNS), [OLD], "pause notes-dev-v2: pre_deploy runs"),
        (target(before=Hook.FAILED, hook_error="exit code 1"), [OLD], "fail notes-dev-v2: exit code 1"),
        (target(after=Hook.DUE), [NEW], "run notes-dev-v2: post_deploy"),
        (target(blocked="waits for approval"), [OLD], "pause notes-dev-v2: waits for approval"),
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
        (
            target(moving=None, strategy=Strategy.STOP_FIRST),
            [service("notes-dev-v3", 1, 0), service("notes-dev-v2", 0)],
            "scale notes-dev-v3: 1 to 0, notes-dev-v2 must not run beside it",
        ),
    ],
)
def test_the_next_steps_read_as_the_promise(wanted: Target | None, running: list[Running], text: str) -> None:
    assert str(plan(wanted, running)) == text


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (target(), "wait notes-dev-v2: no gateway answers"),
        (target(moving=None), "wait notes-dev-v2: no gateway answers"),
        (target(moving=timedelta(seconds=239)), "wait notes-dev-v2: no gateway answers"),
        (target(moving=timedelta(seconds=241)), "fail notes-dev-v2: not seen ready within 240 s: no gateway answers"),
        (target(moving=LATER, blocked="waits for approval"), "wait notes-dev-v2: no gateway answers"),
        (
            target(age=LONGEST_WAIT + MOVING, blocked="waits for approval"),
            "fail notes-dev-v2: not seen ready within 604800 s: no gateway answers",
        ),
    ],
)
def test_what_is_not_seen_is_waited_for_but_not_for_ever(wanted: Target, text: str) -> None:
    assert str(unseen(wanted, "no gateway answers")) == text
