"""Flapping is damped: what passes and fails again and again does not make catalog and gateways follow. Pure.

The rule: who stopped being well once passes again at once. Who did so `n` times within the last minute, n ≥ 2, passes
again after it has been well for 2^(n-1) seconds without a break (2, 4, 8, … at most 32). An endpoint that was
deregistered because its container ended is not registered before that either. What was asked for (a stop, a drain) is
no fall. So however fast an endpoint flaps, gateways see it pass at most five times in the first minute, and three times
in a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pierhead.agent.endpoint import CRITICAL, PASSING, Held
from pierhead.agent.plan import Wanted

WINDOW = timedelta(minutes=1)
LONGEST = timedelta(seconds=32)


@dataclass(frozen=True, slots=True)
class Past:
    """How one endpoint behaved. Times are seconds of a clock that never goes back."""

    is_passing: bool = False
    """As the catalog was told."""
    falls: tuple[float, ...] = ()
    well_since: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One start of an instance."""

    instance: str
    started_at: datetime
    was_asked: bool = False
    """Somebody asked for the end of the run before."""


def hold(past: Past, now: float) -> timedelta:
    """How long it has to be well in one piece before it passes."""
    falls = sum(now - at < WINDOW.total_seconds() for at in past.falls)
    return min(LONGEST, timedelta(seconds=1 << min(falls - 1, 10))) if falls > 1 else timedelta()


def after(past: Past, now: float, *, is_well: bool) -> Past:
    """The past once the endpoint has been seen to be well, or not."""
    falls = tuple(at for at in past.falls if now - at < WINDOW.total_seconds())
    if not is_well:
        has_fallen = past.is_passing or past.well_since is not None
        return Past(is_passing=False, falls=(*falls, now) if has_fallen else falls)
    since = now if past.well_since is None else past.well_since
    is_passing = past.is_passing or now - since >= hold(past, now).total_seconds()
    return Past(is_passing, falls, since)


class Damping:
    """The past of all endpoints: instance → endpoint's id → past."""

    def __init__(self) -> None:
        self._all: dict[str, dict[str, Past]] = {}
        self._runs: dict[str, datetime] = {}

    def calm(
        self, run: Run, wanted: Iterable[Wanted], held: Callable[[str], Held | None], now: float
    ) -> tuple[list[Wanted], timedelta | None]:
        """`wanted` as it may be told now, and after how long to ask again, where that is not what was seen."""
        if self._runs.setdefault(run.instance, run.started_at) != run.started_at:
            self.ended(run.instance, now, was_asked=run.was_asked)
            self._runs[run.instance] = run.started_at
        pasts, told, waits = self._all.setdefault(run.instance, {}), [], []
        for one in wanted:
            there = held(one.endpoint.id)
            before = pasts.get(one.endpoint.id) or Past(is_passing=bool(there and there.status == PASSING))
            past = pasts[one.endpoint.id] = after(before, now, is_well=one.status == PASSING)
            if one.status != PASSING or past.is_passing:
                told.append(one)
                continue
            length = hold(past, now)
            waits.append(timedelta(seconds=(past.well_since or now) - now) + length)
            if there:
                told.append(replace(one, status=CRITICAL, output=_reason(past, length)))
        return told, min(waits, default=None)

    def ended(self, instance: str, now: float, *, was_asked: bool) -> None:
        """It does not run. For those of its endpoints that were well it was a fall, unless somebody asked for it."""
        self._runs.pop(instance, None)
        before = self._all.pop(instance, {})
        falls = {
            key: past.falls if was_asked else after(past, now, is_well=False).falls for key, past in before.items()
        }
        if kept := {key: Past(falls=found) for key, found in falls.items() if found}:
            self._all[instance] = kept
        self._forget(now)

    def _forget(self, now: float) -> None:
        """What does not run and has not fallen for a minute has no past."""
        for instance in self._all.keys() - self._runs.keys():
            if all(now - past.falls[-1] > WINDOW.total_seconds() for past in self._all[instance].values()):
                del self._all[instance]


def _reason(past: Past, length: timedelta) -> str:
    return f"it failed {len(past.falls)} times within a minute: it has to be well for {length.total_seconds():g} s"
