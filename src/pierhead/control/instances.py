"""Instances as they are now: what the engine runs, and what the catalog says of each.

An answer that does not come is Unavailable, never "nothing is there".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pierhead.control import placement
from pierhead.control.channels import Where
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model import dot_pier, instance
from pierhead.model.instance import HOST_PREFIX, Endpoint, Label, Meta, State, is_host
from pierhead.wire.consul import catalog, health
from pierhead.wire.consul.records import Entry
from pierhead.wire.docker import services, swarm, tasks
from pierhead.wire.docker.services import Service
from pierhead.wire.docker.tasks import Task

Place = tuple[str, str]
"""App and environment."""
Members = Mapping[str, swarm.Node]
"""By their ids in the swarm."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The engine's side, for every environment of this cluster."""

    services: Mapping[Place, Sequence[Service]]
    tasks: Mapping[str, Sequence[Task]]
    """By the id of their service."""
    jobs: Mapping[Place, Sequence[Service]] = field(default_factory=dict)
    """What runs once beside a release, instead of serving."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One container that runs, starts or leaves; or one program on a machine, as an agent there has it."""

    id: str
    """The container's id; while there is none yet, the task's. `host:<node>:<name>` of a program on a machine."""
    app: str
    environment: str
    release: str
    node: str
    state: str
    """`healthy`, `unhealthy`, `draining`, `starting`, or the engine's own word while it is not running."""
    reason: str
    addresses: tuple[str, ...]
    since: datetime | None
    """None: nobody knows."""
    engine_node: str = ""
    """The node's id in the swarm; empty for what is no container."""

    @property
    def where(self) -> Where:
        return Where(self.node, self.engine_node)


async def cluster(ctx: Context, app: str = "", environment: str = "") -> Cluster:
    """Of one app and environment, or of all. Raises: Unavailable."""
    chosen = {Label.APP: app, Label.ENVIRONMENT: environment}
    labels = {Label.CLUSTER: ctx.settings.cluster} | {label: value for label, value in chosen.items() if value}
    known = {service.id: service for service in await services.listing(ctx.engine, labels)}
    by_place: dict[Place, list[Service]] = defaultdict(list)
    by_service: dict[str, list[Task]] = defaultdict(list)
    jobs: dict[Place, list[Service]] = defaultdict(list)
    for service in known.values():
        found = jobs if Label.JOB in service.labels else by_place
        found[place(service.labels)].append(service)
    there = await tasks.listing(ctx.engine, labels)
    rooms = await placement.rooms(ctx, there)
    for task in there:
        error = placement.explained(task, known.get(task.service), rooms)
        error = dot_pier.explained(error, ctx.settings.mount)
        by_service[task.service].append(replace(task, error=error))
    return Cluster(by_place, by_service, jobs)


async def endpoints(ctx: Context, names: Iterable[str]) -> list[Endpoint]:
    """Every endpoint of those services, as the catalog has them. Raises: Unavailable."""
    found = []
    for name in names:
        entries, _ = await health.service(ctx.catalog, name)
        found += [_endpoint(entry) for entry in entries]
    return found


async def listing(ctx: Context, app: str = "", environment: str = "") -> list[Instance]:
    """Instances of one app and environment, or of all, in the order of their names. Raises: Unavailable."""
    return await _listed(ctx, await cluster(ctx, app, environment), await _members(ctx))


async def _listed(ctx: Context, there: Cluster, members: Members) -> list[Instance]:
    known = await catalog.services(ctx.catalog)
    prefixes = tuple(f"{name}-{where}" for name, where in there.services)
    held: dict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in await endpoints(ctx, [name for name in known[0] if name.startswith(prefixes)] if prefixes else []):
        held[endpoint.meta.get(Meta.INSTANCE, "")].append(endpoint)
    found = [
        _instance(service, task, held.get(task.container, []), members.get(task.node))
        for mine in there.services.values()
        for service in mine
        for task in there.tasks.get(service.id, [])
        if task.is_alive
    ]
    found += [on_machine(one) for mine in held.values() for one in mine if is_host(one.meta.get(Meta.INSTANCE, ""))]
    return sorted(found, key=lambda one: (one.app, one.environment, one.release, one.id))


async def find(ctx: Context, name: str) -> Instance:
    """The container whose id begins like that, a run's too; for the name of an app its only place's first healthy one.

    Raises: NotFound, Invalid (several are meant), Conflict (it is a program on a machine: there is no way into it).
    """
    cloud, members = await cluster(ctx), await _members(ctx)
    everything = await _listed(ctx, cloud, members)
    if name.startswith(HOST_PREFIX) and any(one.id == name for one in everything):
        raise errors.Conflict(f"{name} is a program on a machine, not a container.", hint="Log in to that machine.")
    there = [one for one in everything if not is_host(one.id)]
    if found := [one for one in [*there, *_runs(cloud, members)] if one.id.startswith(name)]:
        if len(found) > 1:
            raise errors.Invalid(f"{len(found)} instances begin with {name!r}: {_ids(found)}.")
        return found[0]
    found = [one for one in there if one.app == name]
    if not found:
        raise errors.NotFound(f"There is no instance or app {name!r}.", hint="`pier ps` lists what runs.")
    if len({one.environment for one in found}) > 1:
        raise errors.Invalid(f"{name} runs in several environments.", hint=f"Name an instance: {_ids(found)}.")
    return min(found, key=lambda one: one.state != State.HEALTHY)


async def _members(ctx: Context) -> Members:
    return {member.id: member for member in await swarm.nodes(ctx.engine)}


def _runs(there: Cluster, members: Members) -> list[Instance]:
    """The containers of commands that somebody runs once."""
    return [
        _instance(service, task, (), members.get(task.node))
        for mine in there.jobs.values()
        for service in mine
        for task in there.tasks.get(service.id, ())
        if Label.RUN in service.labels and task.is_running and task.container
    ]


def _ids(found: Sequence[Instance]) -> str:
    return ", ".join(f"{one.id[:12]} ({one.environment})" for one in found[:5])


def place(labels: Mapping[str, str]) -> Place:
    return labels.get(Label.APP, ""), labels.get(Label.ENVIRONMENT, "")


def _instance(service: Service, task: Task, held: Sequence[Endpoint], member: swarm.Node | None) -> Instance:
    state, reason = _state(task, held)
    if state == State.DRAINING and member and member.availability == "drain":
        reason = f"its node {member.host_name} is being drained"
    app, environment = place(service.labels)
    return Instance(
        id=task.container or task.id,
        app=app,
        environment=environment,
        release=service.labels.get(Label.RELEASE, ""),
        node=next((e.meta.get(Meta.NODE, "") for e in held), "") or (member.host_name if member else task.node),
        state=state,
        reason=reason,
        addresses=tuple(f"{e.address}:{e.port}" for e in held),
        since=task.changed_at,
        engine_node=task.node,
    )


def on_machine(endpoint: Endpoint) -> Instance:
    """The instance that a host service is. Pure."""
    meta = endpoint.meta
    return Instance(
        id=f"{HOST_PREFIX}{endpoint.id}",
        app=meta.get(Meta.APP, ""),
        environment=meta.get(Meta.ENVIRONMENT, ""),
        release=meta.get(Meta.RELEASE, ""),
        node=meta.get(Meta.NODE, ""),
        state=endpoint.state,
        reason="" if endpoint.state is State.HEALTHY else endpoint.output.strip(),
        addresses=(f"{endpoint.address}:{endpoint.port}",),
        since=None,
    )


def _state(task: Task, held: Sequence[Endpoint]) -> tuple[str, str]:
    """The worst of its endpoints; for an instance without ports what the engine says."""
    if not task.is_running:
        return task.state, task.error
    if not task.is_wanted and not held:
        return State.DRAINING, "is being stopped"
    order = (State.DRAINING, State.UNHEALTHY, State.STARTING, State.HEALTHY)
    worst = min(held, key=lambda endpoint: order.index(endpoint.state), default=None)
    if worst is None:
        return (State.STARTING, "not in the catalog yet") if task.has_ports else (State.HEALTHY, "")
    return worst.state, "" if worst.state is State.HEALTHY else worst.output.strip()


def _endpoint(entry: Entry) -> Endpoint:
    worst = next((check for check in entry.checks if check.status == "critical"), None)
    state = instance.state({check.id: check.status for check in entry.checks}, entry.service.id)
    if state is State.UNHEALTHY and worst and not worst.output:
        state = State.STARTING
    return Endpoint(
        id=entry.service.id,
        service=entry.service.name,
        address=entry.address,
        port=entry.service.port,
        state=state,
        meta=entry.service.meta,
        output=worst.output if worst else "",
    )
