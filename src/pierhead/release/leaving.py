"""Nodes that are being drained: others are there before anybody goes. Pure."""

from __future__ import annotations

from dataclasses import replace

from pierhead.control.nodes import Moving
from pierhead.model.app import Strategy
from pierhead.release.group import Group
from pierhead.release.picture import Running, Target


def raised(target: Target, group: Group | None, running: Running | None, moving: Moving) -> Target:
    """The target with an instance more for each on a node that is to be left, or kept as high as it was raised while
    some are not ready. An app that must not run twice is never raised."""
    if group is None or running is None or target.strategy is Strategy.STOP_FIRST:
        return target
    if more := sum(task.is_wanted and task.node in moving.leaving for task in group.tasks):
        return replace(target, replicas=target.replicas + more)
    if moving.left and running.ready < running.replicas:
        return replace(target, replicas=max(target.replicas, running.replicas))
    return target


def reason(target: Target, group: Group | None, running: Running | None, moving: Moving) -> str:
    """What the drain waits for here; empty when nothing. `target` is what holds without any drain."""
    if group is None or running is None:
        return ""
    if moving.left and running.replicas > target.replicas:
        return f"{target.name}: {running.ready} of {running.replicas} ready"
    if target.strategy is Strategy.STOP_FIRST or not any(task.node in moving.leaving for task in group.tasks):
        return ""
    if target.moving is not None:
        return f"{target.name} is on its way"
    elsewhere = sum(node not in moving.leaving for node in running.nodes)
    return "" if elsewhere >= target.replicas else f"{target.name}: {elsewhere} of {target.replicas} ready elsewhere"
