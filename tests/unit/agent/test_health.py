from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.agent import health
from pierhead.agent.endpoint import CRITICAL, PASSING, Kind, Probe
from pierhead.agent.health import Answer, Health

PROBE = Probe(Kind.HTTP, rise=2, fall=3, interval=timedelta(seconds=5))
YES, NO = Answer(passed=True, reason="200 OK"), Answer(passed=False, reason="refused")


def seen(answers: str, probe: Probe = PROBE, *, begin: Health | None = None) -> Health:
    """The health after answers: `+` passed, `-` did not."""
    found = begin or health.start(probe)
    for sign in answers:
        found = health.after(found, YES if sign == "+" else NO, probe)
    return found


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ("", CRITICAL),
        ("+", CRITICAL),
        ("++", PASSING),
        ("+-+", CRITICAL),
        ("++--", PASSING),
        ("++--+--", PASSING),
        ("++---", CRITICAL),
        ("++---+", CRITICAL),
        ("++---++", PASSING),
    ],
)
def test_rise_and_fall_count_in_a_row(answers: str, status: str) -> None:
    assert seen(answers).status == status


def test_the_reason_changes_with_the_cause_only() -> None:
    before = health.after(health.start(PROBE), Answer(passed=False, reason="exit code 1", detail="at 7:00"), PROBE)
    same = health.after(before, Answer(passed=False, reason="exit code 1", detail="at 7:01"), PROBE)
    other = health.after(same, Answer(passed=False, reason="exit code 2"), PROBE)
    assert (same.output, other.output) == ("exit code 1: at 7:00", "exit code 2")


def test_an_inherited_pass_ends_with_failures() -> None:
    begin = health.start(PROBE, is_passing=True)
    assert seen("--", begin=begin).status == PASSING
    assert seen("---", begin=begin).status == CRITICAL


def test_questions_are_quick_while_it_starts_and_slow_afterwards() -> None:
    waits = [health.interval(seen("-" * count), PROBE) for count in range(10)]
    assert waits[:7] == [timedelta(milliseconds=ms) for ms in (1, 2, 4, 8, 16, 32, 64)]
    assert set(waits[7:]) == {timedelta(milliseconds=100)}
    assert health.interval(seen("++"), PROBE) == PROBE.interval
    assert health.interval(seen("++---"), PROBE) == PROBE.interval
    assert health.interval(seen("-" * 700), PROBE) == PROBE.interval


@given(st.text("+-", max_size=60), st.integers(1, 4), st.integers(1, 4))
def test_it_only_changes_on_enough_answers_in_a_row(answers: str, rise: int, fall: int) -> None:
    probe = Probe(Kind.TCP, rise=rise, fall=fall)
    found = health.start(probe)
    for number, sign in enumerate(answers):
        after = health.after(found, YES if sign == "+" else NO, probe)
        if after.status != found.status:
            enough = rise if after.status == PASSING else fall
            assert answers[: number + 1].endswith(sign * enough)
        found = after


def test_endpoints_share_the_moments_at_which_they_are_asked() -> None:
    five = timedelta(seconds=5)
    moments = {health.due(1000 + number / 40, five, luck) for number in range(40) for luck in (0.0, 0.5, 1.0)}
    assert len(moments) == 3
    assert all(moment % 0.5 == 0 for moment in moments)


@given(st.floats(0, 1e6), st.timedeltas(timedelta(milliseconds=10), timedelta(hours=1)), st.floats(0, 1))
def test_who_is_asked_again_waits_no_longer_than_its_interval_and_hardly_less(
    now: float, wait: timedelta, luck: float
) -> None:
    seconds = wait.total_seconds()
    assert 0.84 * seconds < health.due(now, wait, luck) - now <= seconds * 1.0001
