"""Flapping endpoints: how often catalog and gateways are made to follow."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.agent.agent_parts import STARTED

from pierhead.agent import mirror
from pierhead.agent.damping import Damping, Run
from pierhead.agent.endpoint import CRITICAL, PASSING, Endpoint, Held
from pierhead.agent.plan import Wanted

ENDPOINT = Endpoint("n1:web:80", "web", "10.0.0.5", 32768, "80/tcp")


@dataclass
class Case:
    """One endpoint, its damping, and what the catalog was told."""

    damping: Damping = field(default_factory=Damping)
    held: Held | None = None
    told: list[str] = field(default_factory=list)
    wait: timedelta | None = None
    starts: int = 0

    def see(self, at: float, status: str) -> None:
        run = Run("c", STARTED + timedelta(seconds=self.starts))
        wanted, self.wait = self.damping.calm(run, [Wanted(ENDPOINT, status, "seen")], lambda _: self.held, at)
        for one in wanted:
            if self.held is None or self.held.status != one.status:
                self.told.append(one.status)
            self.held = replace(mirror.after(one, None), output=one.output)
        if not wanted:
            assert self.held is None

    def end(self, at: float, *, was_asked: bool = False) -> None:
        self.damping.ended("c", at, was_asked=was_asked)
        self.starts += 1
        if self.held:
            self.told.append("deregistered")
        self.held = None

    def flap(self, until: float, period: float, begin: float = 0) -> None:
        """Well for the first half of each period; looked at ten times in each."""
        for number in range(round(begin / period * 10), round(until / period * 10)):
            self.see(number * period / 10, PASSING if number % 10 < 5 else CRITICAL)


def test_one_fall_is_forgiven_at_once() -> None:
    case = Case()
    for at, status in [(0, PASSING), (1, CRITICAL), (2, PASSING)]:
        case.see(at, status)
    assert case.told == [PASSING, CRITICAL, PASSING]


def test_the_second_one_has_to_be_proved_wrong_for_longer_each_time() -> None:
    case = Case()
    for at, status in [(0, PASSING), (1, CRITICAL), (2, PASSING), (3, CRITICAL), (4, PASSING)]:
        case.see(at, status)
    assert case.told == [PASSING, CRITICAL, PASSING, CRITICAL]
    assert (case.held or held()).output == "it failed 2 times within a minute: it has to be well for 2 s"
    assert case.wait == timedelta(seconds=2)
    case.see(6, PASSING)
    assert [case.told[-1], case.wait] == [PASSING, None]
    case.see(8, CRITICAL)
    case.see(9, PASSING)
    assert case.wait == timedelta(seconds=4)
    case.see(12, CRITICAL)
    case.see(12.5, PASSING)
    assert case.wait == timedelta(seconds=8), "what fails meanwhile fails once more"


def test_after_a_minute_it_is_forgotten() -> None:
    case = Case()
    for at in range(0, 6, 2):
        case.see(at, PASSING)
        case.see(at + 1, CRITICAL)
    case.see(70, PASSING)
    assert [case.told[-1], case.wait] == [PASSING, None]


def test_a_container_that_crashes_again_and_again_is_registered_less_and_less() -> None:
    case = Case()
    for number in range(10):
        case.see(number * 3, PASSING)
        case.end(number * 3 + 1)
    assert case.told == [PASSING, "deregistered"] * 2
    case.see(30, PASSING)
    assert [case.held, case.wait] == [None, timedelta(seconds=32)]
    case.see(62, PASSING)
    assert case.told[-1] == PASSING


def test_a_crash_that_nobody_saw_is_one_too() -> None:
    case = Case()
    for at in range(3):
        case.see(at, PASSING)
        case.starts += 1
    case.see(3, PASSING)
    assert case.wait == timedelta(seconds=4)


def test_what_was_asked_for_is_no_fall() -> None:
    case = Case()
    for at in range(9):
        case.see(at, PASSING)
        case.end(at + 0.5, was_asked=True)
    assert case.told == [PASSING, "deregistered"] * 9


def test_an_agent_that_starts_goes_on_from_the_catalog() -> None:
    case = Case(held=held())
    case.see(0, PASSING)
    assert case.told == []
    case.see(1, CRITICAL)
    case.see(2, PASSING)
    assert case.told == [CRITICAL, PASSING]


@pytest.mark.parametrize("period", [0.2, 1, 2, 5, 9, 20, 40])
def test_gateways_follow_a_few_times_a_minute_at_most(period: float) -> None:
    case = Case()
    case.flap(60, period)
    assert case.told.count(PASSING) <= 5
    case.flap(600, period, begin=60)
    assert case.told.count(PASSING) <= 5 + 9 * 3


@given(st.lists(st.tuples(st.floats(0.01, 30), st.booleans()), max_size=60))
def test_what_is_not_well_is_never_told_to_pass_and_what_is_well_passes_in_the_end(
    seen: list[tuple[float, bool]],
) -> None:
    case, at = Case(), 0.0
    for pause, is_well in seen:
        at += pause
        case.see(at, PASSING if is_well else CRITICAL)
        assert is_well or (case.held and case.held.status == CRITICAL)
    case.see(at + 1, PASSING)
    case.see(at + 1 + 33, PASSING)
    assert case.held
    assert case.held.status == PASSING


def held() -> Held:
    return mirror.after(Wanted(ENDPOINT, PASSING), None)
