"""What to do next so that an environment runs its target release. Pure: one picture in, the next steps out.

A deployment is nothing but a target that is not reached yet; going back after a failure is the same with the old
release as the target. Each call returns only steps that are safe in the state it was given, so whoever is killed
between two of them goes on by looking again.

Always kept, for a rolling deployment to R replicas with step S: at least R ready instances once R were ready, and at
most R + S asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pierhead.model.app import Strategy
from pierhead.model.step import Plan, Step

FAILURES_LIMIT = 3
"""So many instances of a new release may end or be rejected before the deployment fails."""


@dataclass(frozen=True, slots=True)
class Target:
    """What should run."""

    name: str
    """The engine service's name: `notes-dev-v3`."""
    replicas: int
    strategy: Strategy = Strategy.ROLLING
    step: int = 1
    moving: timedelta | None = None
    """How long the deployment to it has been running; None: it is the release that the environment has."""
    deadline: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Running:
    """One engine service of the environment as it is."""

    name: str
    replicas: int
    """Asked for."""
    alive: int
    """Containers that have not ended, the draining ones included."""
    ready: int
    """Instances that are healthy and that every live gateway sends requests to."""
    forgetting: int = 0
    """Instances that the engine has not quite forgotten, though they have ended or soon will."""
    serving: int = 0
    """Instances that some gateway still sends requests to."""
    failures: int = 0
    """Instances that ended or were rejected."""
    error: str = ""
    """What the newest of these said."""
    nodes: tuple[str, ...] = ()
    """Where those that are ready are."""
    waiting: str = ""
    """Why an instance that is not ready is not: `1 of 2 healthy`, `no node has 2 GiB free`."""


def plan(target: Target | None, running: Sequence[Running]) -> Plan:
    """The next steps: create, scale, remove; wait (nothing can be done now); done, fail (the deployment ends)."""
    others = [service for service in running if target is None or service.name != target.name]
    if target is None:
        return Plan(tuple(_retire(others, "nothing is released")))
    mine = next((service for service in running if service.name == target.name), None)
    if target.moving is None:
        return Plan(tuple(_settle(target, mine, others)))
    if reason := _failure(target, mine):
        return Plan((Step("fail", target.name, reason),))
    if target.strategy is Strategy.STOP_FIRST and any(service.alive or service.replicas for service in others):
        return Plan((*_retire(others, f"{target.name} must not run beside it"), _wait(target, mine, others)))
    return Plan(tuple(_roll(target, mine, others)))


def _failure(target: Target, mine: Running | None) -> str:
    if mine and mine.failures >= FAILURES_LIMIT:
        return f"{mine.failures} instances ended: {mine.error}"
    if target.moving is not None and target.moving > target.deadline:
        return f"not ready within {_seconds(target.deadline)}: {_state(target, mine)}"
    return ""


def _roll(target: Target, mine: Running | None, others: Sequence[Running]) -> list[Step]:
    old = sum(service.replicas for service in others)
    if mine is None:
        first = min(target.replicas, target.step) if old else target.replicas
        return [Step("create", target.name, f"0 of {target.replicas} running", first)]
    if mine.replicas > target.replicas:
        return [_scale(mine, target.replicas, "fewer are wanted")]
    if mine.ready < mine.replicas:
        return [_wait(target, mine, others)]
    steps = list(_lower(others, target.replicas - mine.replicas, f"{mine.ready} of {target.replicas} of {mine.name}"))
    if mine.replicas < target.replicas:
        steps.append(_scale(mine, min(target.replicas, mine.replicas + target.step), f"{mine.ready} ready"))
    elif serving := sum(service.serving for service in others):
        steps += [] if old else [Step("wait", target.name, f"{serving} old instances still get requests")]
    elif not old:
        steps.append(Step("done", target.name, f"{mine.ready} of {target.replicas} healthy and routed"))
    return steps


def _settle(target: Target, mine: Running | None, others: Sequence[Running]) -> list[Step]:
    """No deployment: keep the target as it should be, and let go of the rest once it is not needed."""
    if mine is None:
        return [Step("create", target.name, f"0 of {target.replicas} running", target.replicas)]
    if mine.replicas != target.replicas:
        return [_scale(mine, target.replicas, f"{target.replicas} wanted")]
    useless = [service for service in others if mine.ready >= target.replicas or not service.ready]
    return _retire(useless, f"{target.name} is the release")


def _lower(others: Sequence[Running], keep: int, cause: str) -> list[Step]:
    """The others together have `keep` replicas; the ones listed first go first."""
    surplus = sum(service.replicas for service in others) - keep
    steps = []
    for service in others:
        less = min(service.replicas, max(surplus, 0))
        if less:
            steps.append(_scale(service, service.replicas - less, f"{cause} ready"))
        surplus -= less
    return steps


def _retire(services: Sequence[Running], cause: str) -> list[Step]:
    """Drained first, by asking for none; removed when the last instance has ended and is forgotten."""
    steps = []
    for service in services:
        if service.replicas:
            steps.append(_scale(service, 0, cause))
        elif not service.alive and not service.forgetting:
            steps.append(Step("remove", service.name, cause))
    return steps


def _scale(service: Running, replicas: int, cause: str) -> Step:
    return Step("scale", service.name, f"{service.replicas} to {replicas}, {cause}", replicas)


def _wait(target: Target, mine: Running | None, others: Sequence[Running]) -> Step:
    leaving = sum(service.alive for service in others if not service.replicas)
    if mine is None and leaving:
        return Step("wait", target.name, f"{leaving} old instances are leaving")
    return Step("wait", target.name, _state(target, mine))


def _state(target: Target, mine: Running | None) -> str:
    if mine is None:
        return f"0 of {target.replicas} running"
    text = f"{mine.ready} of {mine.replicas} ready"
    detail = mine.error or mine.waiting
    return f"{text}, {detail}" if detail else text


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"
