"""What the swarm's nodes have free, for whoever waits for a place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pierhead.control.context import Context
from pierhead.model import placement
from pierhead.model.placement import Room, Wanted
from pierhead.wire.docker import swarm, tasks
from pierhead.wire.docker.services import NODE, Service
from pierhead.wire.docker.swarm import Node
from pierhead.wire.docker.tasks import Task

_LABEL = "node.labels."
_CLOSED = {"drain": "drained", "pause": "paused"}


async def rooms(ctx: Context, waiting: Iterable[Task]) -> Sequence[Room]:
    """Every node with what it has free; none where nobody waits for a place. Raises: Unavailable."""
    if not any(placement.is_unplaced(task.error) for task in waiting):
        return ()
    held: dict[str, list[Task]] = defaultdict(list)
    for task in await tasks.holding(ctx.engine):
        held[task.node].append(task)
    return [_room(node, held[node.id]) for node in await swarm.nodes(ctx.engine)]


def explained(task: Task, service: Service | None, rooms: Sequence[Room]) -> str:
    """What is said of the task, in words where no node takes it. Pure."""
    wanted = Wanted(
        cpus=task.reserved.cpus or 0,
        memory_bytes=task.reserved.memory_bytes or 0,
        labels=dict(_label(one) for one in task.constraints if one.startswith(_LABEL) and "==" in one),
        ports=service.published if service else (),
        node=next((_label(one)[1] for one in task.constraints if one.startswith(NODE)), ""),
    )
    return placement.explained(task.error, wanted, rooms)


def _room(node: Node, held: Sequence[Task]) -> Room:
    closed = _CLOSED.get(node.availability, "")
    return Room(
        node=node.host_name,
        cpus=(node.resources.cpus or 0) - sum(task.reserved.cpus or 0 for task in held),
        memory_bytes=(node.resources.memory_bytes or 0) - sum(task.reserved.memory_bytes or 0 for task in held),
        labels=node.labels,
        closed=closed if node.state == "ready" else node.state,
        id=node.id,
    )


def _label(constraint: str) -> tuple[str, str]:
    name, _, value = constraint.removeprefix(_LABEL).partition("==")
    return name.strip(), value.strip()
