"""A deployment played through on paper: the plan's own steps, with an engine that does at once what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from pierhead.model.app import Spec, Strategy
from pierhead.release.picture import Hook, Running, Target
from pierhead.release.plan import plan

_MOST_LOOKS = 2000
_NEXT = "the next release"


def steps(spec: Spec, running: int, before: str) -> Sequence[str]:
    """The lines that the journal would have: `before` (`v3`; empty: nothing runs) has `running` instances."""
    deploy = spec.deploy
    target = Target(
        name=_NEXT,
        replicas=spec.replicas,
        strategy=deploy.strategy,
        step=deploy.step,
        moving=timedelta(),
        base=before,
        stages=deploy.stages,
        watch=deploy.watch,
        before=Hook.DUE if deploy.hooks.pre_deploy else Hook.NONE,
        after=Hook.DUE if deploy.hooks.post_deploy else Hook.NONE,
    )
    services = {before: Running(before, running, running, running, attached=running, serving=running)} if before else {}
    lines: list[str] = []
    for _ in range(_MOST_LOOKS):
        for step in plan(target, list(services.values())).steps:
            if step.kind != "wait" and str(step) not in lines:
                lines.append(str(step))
            if step.kind == "done":
                return lines
            target = _after(target, step.kind, step.data)
            _take(services, step.kind, step.target, step.data)
        services = {name: _done(one, target, name) for name, one in services.items()}
    return lines


def _after(target: Target, kind: str, data: object) -> Target:
    if kind == "share" and isinstance(data, int):
        return replace(target, share=data, held=timedelta(), is_continued=False)
    if kind == "pause":
        return replace(target, held=timedelta(days=1000), is_continued=True)
    if kind == "run":
        return replace(target, **{"before" if data == "pre_deploy" else "after": Hook.NONE})  # type: ignore[arg-type]
    return target


def _take(services: dict[str, Running], kind: str, name: str, data: int) -> None:
    if kind == "create":
        services[name] = Running(name, data, data, 0)
    elif kind == "scale":
        services[name] = replace(services[name], replicas=data)


def _done(one: Running, target: Target, name: str) -> Running:
    """The engine and the gateways have done what they were told."""
    is_served = name == target.name or target.share != 100 or target.strategy is Strategy.STOP_FIRST
    count = one.replicas
    return replace(one, alive=count, ready=count, attached=count, serving=count if is_served else 0)
