"""What `pier plan` prints: the steps that the deployment would take."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pierhead.model.app import Deploy, Hooks, Spec, Stage, Strategy
from pierhead.release.simulate import steps

SPEC = Spec("notes", replicas=2)


def test_a_first_release_is_started_at_once() -> None:
    assert steps(SPEC, 0, "") == [
        "create the next release: 0 of 2 running",
        "done the next release: 2 of 2 healthy and routed",
    ]


def test_a_rolling_one_with_hooks() -> None:
    spec = replace(SPEC, deploy=Deploy(hooks=Hooks(pre_deploy=("migrate",), post_deploy=("warm",))))
    assert steps(spec, 2, "v3") == [
        "run the next release: pre_deploy",
        "create the next release: 0 of 2 running",
        "scale v3: 2 to 1, 1 of 2 of the next release ready",
        "scale the next release: 1 to 2, 1 ready",
        "scale v3: 1 to 0, 2 of 2 of the next release ready",
        "run the next release: post_deploy",
        "done the next release: 2 of 2 healthy and routed",
    ]


def test_a_canary() -> None:
    stages = (Stage(10, None), Stage(50, timedelta(minutes=1)))
    spec = replace(SPEC, deploy=Deploy(Strategy.CANARY, stages=stages, watch=timedelta(minutes=5)))
    assert steps(spec, 2, "v3") == [
        "share the next release: 0 % of requests, so that nothing reaches it by being started",
        "create the next release: 0 of 1 running",
        "share the next release: 0 to 10 % of requests",
        "pause the next release: 10 % of requests, until a person continues",
        "share the next release: 10 to 50 % of requests",
        "pause the next release: 50 % of requests for 60 s",
        "scale the next release: 1 to 2, for 100 % of requests",
        "share the next release: 50 to 100 % of requests",
        "pause the next release: watched for 300 s",
        "scale v3: 2 to 0, the next release has all requests",
        "done the next release: 2 of 2 healthy and routed",
    ]


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize(("before", "after"), [(0, 3), (3, 1), (1, 3), (2, 0)])
def test_every_strategy_comes_to_an_end(strategy: Strategy, before: int, after: int) -> None:
    stages = {Strategy.CANARY: (Stage(10),), Strategy.BLUE_GREEN: (Stage(0),)}.get(strategy, ())
    spec = Spec("notes", replicas=after, deploy=Deploy(strategy, stages=stages))
    assert steps(spec, before, "v3")[-1].startswith("done the next release")
