"""The server killed, or the deployment cancelled, at every single step of every strategy: the end is the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.unit.release.test_moves import LOOKS, SECOND, Environment, Service

from pierhead.model.app import Strategy

REPLICAS = 3


def begun(strategy: Strategy) -> Environment:
    """Three instances of v1 serve, and v2 is asked for."""
    services = {"v1": Service(REPLICAS, ready=REPLICAS)}
    return Environment(strategy, REPLICAS, 1, 2 * SECOND, services, target="v2")


def carry_on(here: Environment, most: int | None = None) -> Sequence[str]:
    """One look; then everything that was asked for gets one step further. The steps that were taken."""
    before = {name for name, one in here.services.items() if one.alive}
    taken = here.look(most)
    for one in here.services.values():
        one.starting, one.ready = max(one.starting - 1, 0), one.ready + min(one.starting, 1)
        one.leaving = max(one.leaving - 1, 0)
    here.applied = here.share
    here.held, here.moving = here.held + SECOND, here.moving + SECOND
    alive = {name for name, one in here.services.items() if one.alive}
    least = {Strategy.STOP_FIRST: 0, Strategy.ONE_AT_A_TIME: REPLICAS - 1}.get(here.strategy, REPLICAS)
    assert here.serving >= least
    assert here.strategy is not Strategy.STOP_FIRST or len(before | alive) == 1 or not before & alive
    return taken


def to_the_end(here: Environment) -> list[Sequence[str]]:
    """The steps of every look until nothing is left to do."""
    looks = []
    for _ in range(LOOKS):
        looks.append(carry_on(here))
        mine = here.services.get(here.current)
        if here.target is None and list(here.services) == [here.current] and mine and mine.ready == REPLICAS:
            return looks
    raise AssertionError(f"no end: {here}")


@pytest.mark.parametrize("strategy", Strategy)
def test_a_kill_between_any_two_steps_changes_nothing_of_the_end(strategy: Strategy) -> None:
    unkilled = begun(strategy)
    looks = to_the_end(unkilled)
    assert unkilled.current == "v2"
    for number, steps in enumerate(looks):
        for most in range(len(steps) + 1):
            here = begun(strategy)
            for _ in range(number):
                carry_on(here)
            carry_on(here, most)
            here.moving = 0 * SECOND
            to_the_end(here)
            assert (here.current, here.services) == (unkilled.current, unkilled.services), (number, most)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_cancel_at_any_step_brings_back_what_was_there(strategy: Strategy) -> None:
    looks = to_the_end(begun(strategy))
    done = next(number for number, steps in enumerate(looks) if any(one.startswith("done") for one in steps))
    for number in range(done + 1):
        here = begun(strategy)
        for _ in range(number):
            carry_on(here)
        here.end()
        to_the_end(here)
        assert (here.current, {name: one.ready for name, one in here.services.items()}) == ("v1", {"v1": REPLICAS})


@pytest.mark.parametrize("strategy", Strategy)
def test_a_newer_release_at_any_step_is_the_one_that_runs(strategy: Strategy) -> None:
    for number in range(len(to_the_end(begun(strategy)))):
        here = begun(strategy)
        for _ in range(number):
            carry_on(here)
        here.end()
        here.target = "v3"
        to_the_end(here)
        assert (here.current, {name: one.ready for name, one in here.services.items()}) == ("v3", {"v3": REPLICAS})
