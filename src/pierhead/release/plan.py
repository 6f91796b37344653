"""What to do next so that an environment runs its target release. Pure: one picture in, the next steps out.

A deployment is nothing but a target that is not reached yet; going back after a failure is the same with the old
release as the target. Each call returns only steps that are safe in the state it was given, so whoever is killed
between two of them goes on by looking again. What each strategy promises is in `moves`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pierhead.model.app import Strategy
from pierhead.model.step import Plan, Step
from pierhead.release import moves
from pierhead.release.picture import Hook, Running, Target

FAILURES_LIMIT = 3
"""So many instances of a new release may end or be rejected before the deployment fails; one while it is watched."""
LONGEST_WAIT = timedelta(days=7)
"""What waits longer, for a person or for anything else, is ended."""

_MOVES = {
    Strategy.ROLLING: moves.roll,
    Strategy.STOP_FIRST: moves.stop_first,
    Strategy.ONE_AT_A_TIME: moves.one_at_a_time,
    Strategy.BLUE_GREEN: moves.shift,
    Strategy.CANARY: moves.shift,
}
_CAREFUL = (Strategy.STOP_FIRST, Strategy.ONE_AT_A_TIME)
"""Never more run than are wanted, leaving ones included."""


def plan(target: Target | None, running: Sequence[Running]) -> Plan:
    """The next steps: create, scale, share, remove, run (a hook); wait, pause (nothing can be done now); done, fail."""
    if target is None:
        return Plan(tuple(moves.retire(running, "nothing is released")))
    mine = next((service for service in running if service.name == target.name), None)
    others = sorted((one for one in running if one.name != target.name), key=lambda one: one.name == target.base)
    if target.moving is None:
        return Plan(tuple(_settle(target, mine, others)))
    if reason := _failure(target, mine):
        return Plan((Step("fail", target.name, reason),))
    if target.blocked and mine is None:
        return Plan((Step("pause", target.name, target.blocked),))
    if target.before is not Hook.NONE and mine is None:
        return Plan((_hook(target, target.before, "pre_deploy"),))
    steps = _MOVES[target.strategy](target, mine, others)
    return Plan(tuple(_finish(target, mine) if steps is None and mine else steps or ()))


def unseen(target: Target, why: str) -> Plan:
    """The next step while it cannot be seen what runs: to wait, but not for ever when somebody waits for the end."""
    patience = LONGEST_WAIT if target.blocked else 2 * target.deadline
    if target.age > LONGEST_WAIT or (target.moving is not None and target.moving > patience):
        return Plan((Step("fail", target.name, f"not seen ready within {moves.seconds(patience)}: {why}"),))
    return Plan((Step("wait", target.name, why),))


def _failure(target: Target, mine: Running | None) -> str:
    if Hook.FAILED in (target.before, target.after):
        return target.hook_error
    limit = 1 if target.is_watched else FAILURES_LIMIT
    if mine and mine.failures >= limit:
        return f"{mine.failures} {'instance' if mine.failures == 1 else 'instances'} ended: {mine.error}"
    if target.verdict:
        return target.verdict
    if target.age > LONGEST_WAIT:
        return f"not done within {LONGEST_WAIT.days} days; {target.blocked or moves.state(target, mine)}"
    is_complete = mine is not None and mine.ready >= mine.replicas
    if target.moving is not None and target.moving > target.deadline * (2 if is_complete else 1):
        return f"not ready within {moves.seconds(target.deadline)}: {moves.state(target, mine)}"
    return ""


def _finish(target: Target, mine: Running) -> list[Step]:
    """All requests go to the new release and nothing is left to move: it holds out, its last hook runs, done."""
    if target.watch and target.share != 100:
        return [Step("share", target.name, "all requests", 100)]
    if target.is_watched and target.held < target.watch:
        return [Step("pause", target.name, f"watched for {moves.seconds(target.watch)}")]
    if target.after is not Hook.NONE:
        return [_hook(target, target.after, "post_deploy")]
    return [Step("done", target.name, f"{mine.ready} of {target.replicas} healthy and routed")]


def _hook(target: Target, hook: Hook, name: str) -> Step:
    if hook is Hook.DUE:
        return Step("run", target.name, name, name)
    return Step("pause", target.name, f"{name} runs")


def _settle(target: Target, mine: Running | None, others: Sequence[Running]) -> list[Step]:
    """No deployment: keep the target as it should be, and let go of the rest once it is not needed."""
    is_beside = any(one.alive or one.replicas for one in others)
    if is_beside and target.strategy is Strategy.STOP_FIRST:
        return moves.retire(others, f"{target.name} must not run beside it")
    if is_beside and target.strategy is Strategy.ONE_AT_A_TIME:
        return moves.one_at_a_time(target, mine, others) or moves.retire(others, f"{target.name} is the release")
    if mine is None:
        return [Step("create", target.name, f"0 of {target.replicas} running", target.replicas)]
    if mine.replicas != target.replicas:
        if mine.replicas < target.replicas and target.strategy in _CAREFUL:
            return _refill(target, mine, others)
        return [moves.scale(mine, target.replicas, f"{target.replicas} wanted")]
    useless = [service for service in others if mine.ready >= target.replicas or not service.ready]
    return moves.retire(useless, f"{target.name} is the release")


def _refill(target: Target, mine: Running, others: Sequence[Running]) -> list[Step]:
    """More of it, once there is room: also what leaves of the same release counts until it has ended."""
    room = target.replicas - sum(max(one.alive, one.replicas) for one in others) - max(mine.alive - mine.replicas, 0)
    if room > mine.replicas:
        return [moves.scale(mine, room, f"{target.replicas} wanted")]
    return moves.retire(others, f"{target.name} needs the room")
