"""The engine services that one release runs as. Pure.

One service for all its instances; or one for each instance, where every instance has host ports of its own: the engine
publishes a service's port under one number, so two instances of one service could never be on one node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pierhead.model.instance import Label
from pierhead.wire.docker.services import Service
from pierhead.wire.docker.tasks import Task


@dataclass(frozen=True, slots=True)
class Member:
    """One engine service with its tasks."""

    service: Service
    tasks: Sequence[Task] = ()

    @property
    def is_spent(self) -> bool:
        """It asks for nothing and the engine has forgotten what it had: it can be removed."""
        return not self.service.replicas and not any(task.is_alive or task.is_being_forgotten for task in self.tasks)

    @property
    def newest(self) -> Task | None:
        """The task that changed last."""
        return max(self.tasks, key=lambda task: task.changed_at, default=None)

    @property
    def taken_ports(self) -> frozenset[int]:
        """Its host ports that turned out to be another program's; none while it runs."""
        if not self.service.replicas or any(task.is_running for task in self.tasks):
            return frozenset()
        told = " ".join(task.error for task in self.tasks if task.is_port_taken)
        return frozenset(port for port in self.service.published if f":{port} " in told or f":{port}:" in told)


@dataclass(frozen=True, slots=True)
class Group:
    """A release on the engine."""

    name: str
    """`notes-dev-v3`; a service for one instance has its first host port behind that."""
    members: tuple[Member, ...]
    """Those that do not run first: they are the first to be let go."""

    @property
    def replicas(self) -> int:
        return sum(member.service.replicas for member in self.members)

    @property
    def tasks(self) -> Sequence[Task]:
        return [task for member in self.members for task in member.tasks]

    @property
    def is_single(self) -> bool:
        """One service for all its instances."""
        return [member.service.name for member in self.members] == [self.name]

    @property
    def spent(self) -> Sequence[Member]:
        """Services for one instance that are over. One of a release is left: it is the release's, at rest."""
        found = [member for member in self.members if member.is_spent]
        return () if self.is_single else found[: len(self.members) - 1]


def groups(services: Iterable[Service], tasks: Mapping[str, Sequence[Task]]) -> dict[str, Group]:
    """The engine services of one environment by the release they run; `tasks` by the id of their service."""
    found: dict[str, list[Member]] = {}
    for service in services:
        found.setdefault(_name(service), []).append(Member(service, tasks.get(service.id, ())))
    return {name: Group(name, tuple(sorted(members, key=_runs))) for name, members in found.items()}


def volumes_on(tasks: Iterable[Task]) -> str:
    """The id of the node whose volumes the instances have: always the same one, where they are on several. Empty: none
    runs."""
    return min((task.node for task in tasks if task.is_running and task.is_wanted), default="")


def _runs(member: Member) -> tuple[bool, str]:
    return any(task.is_running for task in member.tasks), member.service.name


def _name(service: Service) -> str:
    """Without the host port behind it, where it has one."""
    release = service.labels.get(Label.RELEASE, "")
    name, _, port = service.name.rpartition("-")
    return name if port.isdecimal() and release and name.endswith(f"-{release}") else service.name
