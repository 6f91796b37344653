"""Why no node takes an instance, in words: what each node lacks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_MIB, _GIB = 1 << 20, 1 << 30
_UNPLACED = "no suitable node"
"""What a swarm says of an instance that it cannot place, and behind it how many nodes lack what. Source: swarmkit,
manager/scheduler."""
_PORT_TAKEN = "host-mode port already in use"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an instance asks of its node."""

    cpus: float = 0
    memory_bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[int] = ()
    """Host ports that must be free."""
    node: str = ""
    """The id of the node where its volumes are; empty: wherever."""


@dataclass(frozen=True, slots=True)
class Room:
    """A node, as far as it can take an instance."""

    node: str
    cpus: float
    """Free: not kept for other instances."""
    memory_bytes: int
    labels: Mapping[str, str] = field(default_factory=dict)
    closed: str = ""
    """Why it takes nothing: `drained`, `paused`, `down`; empty: it takes something."""
    id: str = ""
    """What the engine calls it."""


def is_unplaced(error: str) -> bool:
    """It is what the swarm says of an instance for which it has no node yet."""
    return error.startswith(_UNPLACED)


def explained(error: str, wanted: Wanted, rooms: Sequence[Room]) -> str:
    """`no node has 2 GiB free: a 512 MiB, b drained, c lacks the label zone=a`. What the swarm said, where that is not
    enough to know why."""
    if not is_unplaced(error) or not rooms:
        return error
    lacks = {room.node: _lack(wanted, room) for room in sorted(rooms, key=lambda room: room.node)}
    if not all(lacks.values()):
        if _PORT_TAKEN in error and wanted.ports:
            ports = ", ".join(map(str, wanted.ports))
            return f"no node has the host port {ports} free: {_listed(lacks, 'in use there')}"
        return error
    return f"no node {_asked(wanted)}: {_listed(lacks)}"


def _lack(wanted: Wanted, room: Room) -> str:
    """The first thing that is in the way; empty: nothing that is known."""
    if room.closed:
        return room.closed
    if wanted.node not in ("", room.id):
        return "does not have its volumes"
    absent = [f"{name}={value}" for name, value in wanted.labels.items() if room.labels.get(name) != value]
    if absent:
        return f"lacks the label {absent[0]}"
    if room.memory_bytes < wanted.memory_bytes:
        return size(max(room.memory_bytes, 0))
    if room.cpus < wanted.cpus:
        return _processors(max(room.cpus, 0))
    return ""


def _asked(wanted: Wanted) -> str:
    asked = []
    if wanted.memory_bytes:
        asked.append(size(wanted.memory_bytes))
    if wanted.cpus:
        asked.append(_processors(wanted.cpus))
    return f"has {' and '.join(asked)} free" if asked else "can take it"


def _listed(lacks: Mapping[str, str], otherwise: str = "") -> str:
    return ", ".join(f"{node} {lack or otherwise}" for node, lack in lacks.items())


def size(count: int) -> str:
    """As people read it: three digits of it."""
    number, name = (count / _GIB, "GiB") if count >= _GIB else (count / _MIB, "MiB")
    return f"{number:.0f} {name}" if number >= 100 else f"{number:.3g} {name}"


def _processors(count: float) -> str:
    return f"{count:.3g} {'processor' if count == 1 else 'processors'}"
