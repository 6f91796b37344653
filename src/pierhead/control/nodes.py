"""The nodes of the swarm: in use, or emptied before they are switched off.

To drain a node takes two steps, so that no app is ever without an instance: first it takes no new ones, and the release
loop raises others elsewhere (`leaving`); once these are ready the engine ends what the node has (`left`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pierhead.control import environments, instances
from pierhead.control.context import Context
from pierhead.kit import clock, errors
from pierhead.model.instance import Label
from pierhead.wire.docker import swarm, tasks
from pierhead.wire.docker.swarm import Node as Member

_OWN = "pier."
"""How labels begin that people do not set."""
_MARK = f"{_OWN}drain"
"""The node label while a drain is being carried out."""
_SETTLING = timedelta(minutes=2)
"""How long after a drain the instances that were raised for it are kept at most, when some are not ready."""


_log = logging.getLogger(__name__)


class Use(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    """It keeps what it has and takes nothing new; somebody else than Pierhead asked for that."""
    DRAINING = "draining"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    name: str
    role: str
    """`manager` or `worker`."""
    use: Use
    state: str
    """`ready`, `down`, `disconnected` or `unknown`, as the swarm sees it."""
    address: str
    instances: int
    """Of this cluster, those that are leaving included."""
    labels: Mapping[str, str]
    """What people said of it, for apps and environments that ask for it."""


@dataclass(frozen=True, slots=True)
class Moving:
    """The ids of nodes that are being drained."""

    leaving: frozenset[str] = frozenset()
    """Others are raised elsewhere for what they have."""
    left: frozenset[str] = frozenset()
    """They end what they have; what was raised for it stays until all of it is ready."""

    def __bool__(self) -> bool:
        return bool(self.leaving or self.left)


async def listing(ctx: Context) -> Sequence[Node]:
    """By name. Raises: Unavailable (the engine does not answer)."""
    count = Counter(task.node for task in await _tasks(ctx))
    found = [_node(member, count[member.id]) for member in await swarm.nodes(ctx.engine)]
    return sorted(found, key=lambda one: (one.name, one.id))


async def find(ctx: Context, name: str) -> Node:
    """The node of that name, or whose id begins like that, or whose agent calls it so. Raises: NotFound, Invalid."""
    there = await listing(ctx)
    found = [one for one in there if one.name == name] or [one for one in there if one.id.startswith(name)]
    if not found:
        called = {one.id for one in await instances.listing(ctx) if one.node == name}
        ids = {task.node for task in await _tasks(ctx) if task.container in called}
        found = [one for one in there if one.id in ids]
    if len(found) > 1:
        raise errors.Invalid(f"{len(found)} nodes are {name!r}.", hint=f"Use an id: {_ids(found)}.")
    if not found:
        raise errors.NotFound(f"There is no node {name!r}.", hint="`pier node list` lists them.")
    return found[0]


async def drain(ctx: Context, name: str, *, now: bool) -> Node:
    """The node is being emptied and takes nothing new; with `now` without waiting until others are ready elsewhere.

    Idempotent. Raises: NotFound, Conflict (it is the last one that takes instances, and not `now`).
    """
    node = await find(ctx, name)
    others = [one for one in await listing(ctx) if one.id != node.id and one.use is Use.ACTIVE and one.state == "ready"]
    if not others and not now:
        raise errors.Conflict(
            f"{node.name} is the last node that takes instances.",
            hint="Add or activate another one first. With --now its apps stop, until one is there.",
        )
    if node.use is not Use.DRAINED:
        member = await _member(ctx, node.id)
        if now:
            await swarm.use(ctx.engine, member, "drain", _unmarked(member))
        elif member.availability != "drain":
            await swarm.use(ctx.engine, member, "pause", {**member.labels, _MARK: ctx.settings.cluster})
    ctx.release_wanted.set()
    return await find(ctx, node.id)


async def activate(ctx: Context, name: str) -> Node:
    """The node takes instances. What ran there before does not come back by itself. Raises: NotFound."""
    node = await find(ctx, name)
    member = await _member(ctx, node.id)
    if member.availability != "active" or _MARK in member.labels:
        await swarm.use(ctx.engine, member, "active", _unmarked(member))
    ctx.release_wanted.set()
    return await find(ctx, node.id)


async def label(ctx: Context, name: str, labels: Mapping[str, str]) -> Node:
    """The node has these labels besides those that it had; one whose value is empty it has no more.

    What runs there stays; what waits for such a node is started there. Raises: NotFound, Invalid.
    """
    if odd := [key for key in labels if not environments.LABEL.fullmatch(key) or key.startswith(_OWN)]:
        problems = [errors.Problem(f"labels.{key}", f"is no name of a label, or begins with {_OWN}") for key in odd]
        raise errors.Invalid("The node was not changed.", problems=problems)
    member = await _member(ctx, (await find(ctx, name)).id)
    held = {key: value for key, value in {**member.labels, **labels}.items() if value}
    if held != member.labels:
        await swarm.use(ctx.engine, member, member.availability, held)
    ctx.release_wanted.set()
    return await find(ctx, member.id)


async def moving(ctx: Context) -> Moving:
    """Raises: Unavailable."""
    marked = [one for one in await swarm.nodes(ctx.engine) if one.labels.get(_MARK) == ctx.settings.cluster]
    return Moving(
        leaving=frozenset(one.id for one in marked if one.availability == "pause"),
        left=frozenset(one.id for one in marked if one.availability == "drain"),
    )


async def proceed(ctx: Context, moved: Moving, *, is_ready: bool) -> None:
    """What had to be done for the drain is done (`is_ready`): nodes that were left for now are drained, those that
    were drained are so for good. Raises: Unavailable."""
    for member in await swarm.nodes(ctx.engine):
        if member.id in moved.leaving and is_ready:
            _log.info("Drains a node.", extra={"node": member.host_name})
            await swarm.use(ctx.engine, member, "drain", member.labels)
        elif member.id in moved.left and (is_ready or member.updated_at + _SETTLING < clock.now()):
            await swarm.use(ctx.engine, member, "drain", _unmarked(member))


def _node(member: Member, count: int) -> Node:
    use = {"active": Use.ACTIVE, "pause": Use.PAUSED, "drain": Use.DRAINING}[member.availability]
    if use is Use.PAUSED and _MARK in member.labels:
        use = Use.DRAINING
    if use is Use.DRAINING and member.availability == "drain" and not count:
        use = Use.DRAINED
    labels = {key: value for key, value in sorted(member.labels.items()) if not key.startswith(_OWN)}
    return Node(member.id, member.host_name, member.role, use, member.state, member.address, count, labels)


async def _member(ctx: Context, node_id: str) -> Member:
    """As it is now: it can only be changed by whoever has seen its last version."""
    return next(one for one in await swarm.nodes(ctx.engine) if one.id == node_id)


def _unmarked(member: Member) -> dict[str, str]:
    return {key: value for key, value in member.labels.items() if key != _MARK}


async def _tasks(ctx: Context) -> list[tasks.Task]:
    """Of this cluster, which run, start or leave somewhere."""
    found = await tasks.listing(ctx.engine, {Label.CLUSTER: ctx.settings.cluster})
    return [task for task in found if task.is_alive and task.node]


def _ids(found: Sequence[Node]) -> str:
    return ", ".join(one.id for one in found[:5])
