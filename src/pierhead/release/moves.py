"""How requests and instances get from one release to another: one function per way of doing it. Pure.

Each returns the next steps, `[]` when the engine has only to finish what it was told, None when nothing is left to
move. `R` is what the target asks for, `old` what ran before, both in instances that are healthy and routed:

- `roll`: never fewer than min(old, R); never more than `step` above max(old, R) asked for.
- `one_at_a_time`: never fewer than min(old, R) - 1; never more than max(old, R) alive.
- `stop_first`: never two releases alive.
- `shift` (blue-green, canary): the old ones stay at R, and serve, until the new ones have all requests and held out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from pierhead.model.app import Stage, Strategy
from pierhead.model.step import Step
from pierhead.release.picture import Running, Target

Steps = list[Step] | None


def roll(target: Target, mine: Running | None, others: Sequence[Running]) -> Steps:
    """New instances are raised step by step, and old ones leave as they are routed."""
    old = sum(service.replicas for service in others)
    if mine is None:
        first = min(target.replicas, target.step) if old else target.replicas
        return [*given_up(target, others), Step("create", target.name, f"0 of {target.replicas} running", first)]
    if mine.replicas > target.replicas:
        return [scale(mine, target.replicas, "fewer are wanted")]
    if mine.ready < mine.replicas:
        return [*given_up(target, others), _wait(target, mine, others)]
    steps = lower(others, target.replicas - mine.replicas, f"{mine.ready} of {target.replicas} of {mine.name} ready")
    if mine.replicas < target.replicas:
        steps.append(scale(mine, min(target.replicas, mine.replicas + target.step), f"{mine.ready} ready"))
    return steps or ([] if old else _left(target, others))


def one_at_a_time(target: Target, mine: Running | None, others: Sequence[Running]) -> Steps:
    """One old instance has ended before one new one starts, so that never more run than before."""
    old, alive = (sum(one.replicas for one in others), sum(max(one.alive, one.replicas) for one in others))
    have = max(mine.replicas, mine.alive) if mine else 0
    if mine and mine.replicas > target.replicas:
        return [scale(mine, target.replicas, "fewer are wanted")]
    if steps := given_up(target, others):
        return steps
    if mine and mine.ready < mine.replicas:
        return [_wait(target, mine, others)]
    if have < target.replicas and have + alive < target.replicas:
        more = 1 if old or alive else target.replicas - have
        if mine:
            return [scale(mine, have + more, f"{mine.ready} ready")]
        return [Step("create", target.name, f"0 of {target.replicas} running", more)]
    asked = mine.replicas if mine else 0
    if asked < target.replicas and any(one.alive > one.replicas for one in (*others, *([mine] if mine else []))):
        return [_wait(target, mine, others)]  # room comes by itself: none makes more of it meanwhile
    keep = max(target.replicas - have - 1, 0)
    if steps := lower(others, keep, f"room for one of {target.name}"):
        return steps
    if have < target.replicas or mine is None:
        return [_wait(target, mine, others)] if alive or mine else [_create_none(target)]
    return _left(target, others)


def stop_first(target: Target, mine: Running | None, others: Sequence[Running]) -> Steps:
    """The old ones are gone before the first new one starts."""
    if any(one.alive or one.replicas for one in others):
        return [*retire(others, f"{target.name} must not run beside it"), _wait(target, mine, others)]
    if mine is None:
        return [Step("create", target.name, f"0 of {target.replicas} running", target.replicas)]
    if mine.replicas != target.replicas:
        return [scale(mine, target.replicas, f"{target.replicas} wanted")]
    return [_wait(target, mine, others)] if mine.ready < mine.replicas else _left(target, others)


def shift(target: Target, mine: Running | None, others: Sequence[Running]) -> Steps:
    """The new ones stand beside the old ones, and requests move by weight, stage by stage."""
    if not any(one.replicas for one in others) and target.share is None:
        return roll(target, mine, others)
    if target.share is None:
        return [Step("share", target.name, "0 % of requests, so that nothing reaches it by being started", 0)]
    reason = _pause(target)
    stage = Stage(target.share) if reason else _next(target)
    enough = _enough(target, stage)
    if mine is None:
        return [*given_up(target, others), Step("create", target.name, f"0 of {enough} running", enough)]
    if steps := [*_kept(target, others), *([scale(mine, enough, _percent(stage))] if mine.replicas < enough else [])]:
        return steps
    if mine.replicas > target.replicas:
        return [scale(mine, target.replicas, "fewer are wanted")]
    if mine.ready < mine.replicas:
        return [_wait(target, mine, others)]
    if reason:
        return [Step("pause", target.name, reason)]
    if stage.percent > target.share:
        return [Step("share", target.name, f"{target.share} to {stage.percent} % of requests", stage.percent)]
    if serving := sum(one.serving for one in others):
        return [Step("wait", target.name, f"{serving} old instances still get requests")]
    if target.is_watched and target.held < target.watch:
        return [Step("pause", target.name, f"watched for {seconds(target.watch)}")]
    if steps := lower(others, 0, f"{mine.name} has all requests"):
        return steps
    return _left(target, others)


def lower(others: Sequence[Running], keep: int, cause: str) -> list[Step]:
    """The others together have `keep` replicas; the ones listed first go first."""
    surplus = sum(service.replicas for service in others) - keep
    steps = []
    for service in others:
        less = min(service.replicas, max(surplus, 0))
        if less:
            steps.append(scale(service, service.replicas - less, cause))
        surplus -= less
    return steps


def given_up(target: Target, others: Sequence[Running]) -> list[Step]:
    """What deployments that ended early had asked for goes at once where it is not ready or not needed: nobody waits
    for it, and releases that follow one another quickly must not pile up."""
    spare = sum(one.ready for one in others) - target.replicas
    steps = []
    for one in (one for one in others if one.name != target.base):
        keep = max(one.ready - max(spare, 0), 0)
        if keep < one.replicas:
            steps.append(scale(one, keep, f"{target.name} takes its place"))
        spare -= one.ready - keep
    return steps


def retire(services: Sequence[Running], cause: str) -> list[Step]:
    """Drained first, by asking for none; removed when the last instance has ended and is forgotten."""
    steps = []
    for service in services:
        if service.replicas:
            steps.append(scale(service, 0, cause))
        elif not service.alive and not service.forgetting:
            steps.append(Step("remove", service.name, cause))
    return steps


def scale(service: Running, replicas: int, cause: str) -> Step:
    return Step("scale", service.name, f"{service.replicas} to {replicas}, {cause}", replicas)


def state(target: Target, mine: Running | None) -> str:
    """How far it is, and what is in the way."""
    if mine is None:
        return f"0 of {target.replicas} running"
    text = f"{mine.ready} of {mine.replicas} ready"
    detail = mine.error or mine.waiting
    return f"{text}, {detail}" if detail else text


def seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"


def _left(target: Target, others: Sequence[Running]) -> Steps:
    """None once no gateway can reach an old instance: before, the next request could still be answered by one."""
    if attached := sum(max(one.attached, one.serving) for one in others):
        return [Step("wait", target.name, f"{attached} old instances still get requests")]
    return None


def _wait(target: Target, mine: Running | None, others: Sequence[Running]) -> Step:
    leaving = sum(max(one.alive - one.replicas, 0) for one in others)
    if leaving and (mine is None or mine.ready >= mine.replicas):
        return Step("wait", target.name, f"{leaving} old instances are leaving")
    return Step("wait", target.name, state(target, mine))


def _create_none(target: Target) -> Step:
    return Step("create", target.name, "none wanted", target.replicas)


def _kept(target: Target, others: Sequence[Running]) -> list[Step]:
    """The release that the environment has goes on with as many as are wanted while it serves; leftovers of an
    earlier deployment go once it has them."""
    base = next((one for one in others if one.name == target.base), None)
    if base is None or target.share == 100:
        return []
    if base.replicas != target.replicas:
        return [scale(base, target.replicas, f"{target.replicas} wanted")]
    leftovers = [one for one in others if one is not base and one.replicas]
    return lower(leftovers, 0, f"{base.name} serves until {target.name} does") if base.ready >= base.replicas else []


def _next(target: Target) -> Stage:
    """The stage that comes next, or the last one."""
    stages = [*target.stages, Stage(100, target.watch)]
    return next((one for one in stages if target.share is not None and one.percent > target.share), stages[-1])


def _enough(target: Target, stage: Stage) -> int:
    """Instances that the new release needs before it is given the stage's share."""
    if target.strategy is Strategy.BLUE_GREEN:
        return target.replicas
    return min(target.replicas, max(1, math.ceil(target.replicas * stage.percent / 100)))


def _pause(target: Target) -> str:
    """Why the next share is not given yet; empty: it can be."""
    stage = next((one for one in target.stages if one.percent == target.share), None)
    if stage is None:
        return ""
    if stage.pause is None and not target.is_continued:
        return f"{stage.percent} % of requests, until a person continues"
    if stage.pause and target.held < stage.pause and not target.is_continued:
        return f"{stage.percent} % of requests for {seconds(stage.pause)}"
    return target.undecided if stage.percent and not target.is_continued else ""


def _percent(stage: Stage) -> str:
    return f"for {stage.percent} % of requests"
