"""Swarm tasks: one container of a service, from the wish to its end. Source: Docker Engine API, Task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.services import NOTHING, Share, label_filter, share

_ENDED = frozenset({"complete", "failed", "shutdown", "rejected", "orphaned", "remove"})
_PORT_TAKEN = ("port is already allocated", "address already in use")
"""By another container; by another program."""
_FAILED = frozenset({"complete", "failed", "rejected"})


@dataclass(frozen=True, slots=True)
class Task:
    id: str
    service: str
    """The service's id."""
    node: str
    """The node's id; empty while none has been chosen."""
    container: str
    """Empty while there is none."""
    state: str
    """`new`, `pending`, `preparing`, `starting`, `running`, `failed`, …"""
    desired: str
    """`running`, or `shutdown` or `remove` for one that is to leave."""
    error: str
    exit_code: int | None
    changed_at: datetime
    has_ports: bool
    """It publishes ports."""
    reserved: Share = NOTHING
    """What its node keeps for it."""
    constraints: tuple[str, ...] = ()
    """What its node must be: `node.labels.disk == ssd`."""

    @property
    def is_running(self) -> bool:
        return self.state == "running"

    @property
    def is_wanted(self) -> bool:
        return self.desired in ("running", "ready")

    @property
    def is_alive(self) -> bool:
        """It runs, is on its way to, or is leaving and has not ended."""
        return self.state not in _ENDED and (self.is_wanted or bool(self.container))

    @property
    def is_being_forgotten(self) -> bool:
        """The engine lists it no longer as soon as it has ended, if it has not already."""
        return self.desired == "remove"

    @property
    def is_port_taken(self) -> bool:
        """It could not start, because a host port that it publishes is another program's."""
        return any(text in self.error for text in _PORT_TAKEN)

    @property
    def has_failed(self) -> bool:
        """It ended without having been asked to."""
        return self.state in _FAILED and not (self.state == "complete" and self.desired == "remove")


async def listing(engine: Engine, labels: Mapping[str, str]) -> list[Task]:
    """Every task, of the present and the recent past, of services that have all of the labels."""
    return [_read(value) for value in await engine.get("/tasks", {"filters": label_filter(labels)})]


async def holding(engine: Engine) -> list[Task]:
    """Every task that has a place on a node, of whatever service. Raises: Unavailable."""
    found = [_read(value) for value in await engine.get("/tasks", {"filters": {"desired-state": ["running"]}})]
    return [task for task in found if task.node and task.state not in _ENDED]


async def leaving(engine: Engine, labels: Mapping[str, str]) -> dict[str, datetime]:
    """The containers that run and are to end, and since when at the earliest, of services that have all of the labels.

    Raises: Unavailable (also where the engine manages no swarm, and so cannot know).
    """
    filters = {**label_filter(labels), "desired-state": ["shutdown", "remove"]}
    found = {}
    for value in await engine.get("/tasks", {"filters": filters}):
        task = _read(value)
        if task.is_running and task.container:
            found[task.container] = _moment(value["UpdatedAt"])
    return found


def _read(value: Mapping[str, Any]) -> Task:
    status = value["Status"]
    container = status.get("ContainerStatus") or {}
    return Task(
        id=value["ID"],
        service=value["ServiceID"],
        node=value.get("NodeID") or "",
        container=container.get("ContainerID") or "",
        state=status["State"],
        desired=value["DesiredState"],
        error=_error(status, container),
        exit_code=container.get("ExitCode"),
        changed_at=_moment(status["Timestamp"]),
        has_ports=bool((status.get("PortStatus") or {}).get("Ports")),
        reserved=share(((value["Spec"].get("Resources") or {}).get("Reservations")) or {}),
        constraints=tuple((value["Spec"].get("Placement") or {}).get("Constraints") or ()),
    )


def _error(status: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    if status.get("Err"):
        return str(status["Err"])
    return f"ended with exit code {container.get('ExitCode', 0)}" if status["State"] in _FAILED else ""


def _moment(text: str) -> datetime:
    """RFC 3339 with up to nine digits of a second, of which Python reads six."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{rest[:6]:0<6}+00:00")
