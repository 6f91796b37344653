"""What a row of answers to a probe amounts to. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta

from pierhead.agent.endpoint import CRITICAL, PASSING, Probe

STARTING_INTERVAL = timedelta(milliseconds=100)
_FIRST_INTERVAL = timedelta(milliseconds=1)
_STARTING_QUESTIONS = 600
"""After so many answers without success it is not starting any more: it is asked at its own interval."""


@dataclass(frozen=True, slots=True)
class Health:
    """One endpoint, as its probe has seen it."""

    status: str
    output: str = ""
    """What the answer that decided said; empty while none has."""
    reason: str = ""
    """The part of it that is the same as long as the cause is."""
    successes: int = 0
    """In a row."""
    failures: int = 0
    """In a row."""
    asked: int = 0
    has_passed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    passed: bool
    reason: str
    detail: str = ""
    """What may differ every time."""

    @property
    def output(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def start(probe: Probe, *, is_passing: bool = False) -> Health:
    """Before the first answer. `is_passing`: the catalog has it so already, and failures must prove the opposite."""
    return Health(PASSING if is_passing else probe.initial)


def after(health: Health, answer: Answer, probe: Probe) -> Health:
    """The health after one more answer: `rise` or `fall` of them in a row change it."""
    counted = replace(
        health,
        successes=health.successes + 1 if answer.passed else 0,
        failures=0 if answer.passed else health.failures + 1,
        asked=health.asked + 1,
    )
    is_passing = health.status == PASSING
    if answer.passed and is_passing:
        return replace(counted, has_passed=True)
    if answer.passed and not is_passing and counted.successes >= probe.rise:
        return replace(counted, status=PASSING, output=answer.output, reason=answer.reason, has_passed=True)
    if answer.passed or (is_passing and counted.failures < probe.fall):
        return counted
    fell = replace(counted, status=CRITICAL)
    if not is_passing and answer.reason == health.reason:
        return fell
    return replace(fell, output=answer.output, reason=answer.reason)


def interval(health: Health, probe: Probe) -> timedelta:
    """The time until the next question: short while it starts."""
    if health.has_passed or health.asked > _STARTING_QUESTIONS:
        return probe.interval
    return min(probe.interval, STARTING_INTERVAL, _FIRST_INTERVAL * (1 << min(health.asked, 10)))


def due(now: float, wait: timedelta, luck: float) -> float:
    """When to ask again, `wait` from now or up to a sixth earlier; `luck` (0…1) spreads who would ask at one moment.

    Endpoints share the moments: to wake up costs more than to ask one endpoint more.
    """
    seconds = wait.total_seconds()
    beat = 2.0 ** math.floor(math.log2(seconds / 10))
    return float(math.floor((now + seconds * (0.95 + luck / 20)) / beat)) * beat


def check(probe: Probe, said: str, output: str) -> tuple[str, str] | None:
    """What a HEALTHCHECK that said `said` (`starting`, `healthy`, `unhealthy`, or nothing) decides; None: nothing.

    Where the app's own probe decides, only `unhealthy` counts, because the engine takes its time for the first answer.
    """
    if said in ("", "healthy") or (said == "starting" and probe.decides):
        return None
    return CRITICAL, f"HEALTHCHECK: {said}" + (f": {output}" if output else "")
