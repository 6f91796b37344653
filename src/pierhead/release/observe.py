"""What is there: the engine's services and tasks, the catalog's endpoints, what the gateways send requests to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pierhead.control import instances
from pierhead.control.context import Context
from pierhead.model import dot_pier
from pierhead.model.app import Port, Protocol, Spec, service_name
from pierhead.model.instance import GATEWAY_SERVICE, Endpoint, Meta, State
from pierhead.model.receipt import Count
from pierhead.model.release import Release
from pierhead.release.group import Group
from pierhead.release.picture import Running
from pierhead.wire.consul import health
from pierhead.wire.docker.tasks import Task
from pierhead.wire.gateway import client


@dataclass(frozen=True, slots=True)
class Traffic:
    """The catalog's and the gateways' side, for the services of one environment."""

    endpoints: Sequence[Endpoint] = ()
    routed: frozenset[str] = frozenset()
    """Ids of the endpoints that every live gateway can send requests to, also with no weight now."""
    reached: frozenset[str] = frozenset()
    """Ids of the endpoints that any live gateway still sends requests to."""
    gateways: int = 0
    """How many live gateways there are."""
    attached: frozenset[str] = frozenset()
    """Ids of the endpoints that any live gateway could send requests to, also with no weight now."""
    counts: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)
    """Gateway and service → release → what went to it so far."""
    draining: Mapping[str, int] = field(default_factory=dict)
    """Endpoint that gets no new requests → those that it still has."""


async def traffic(ctx: Context, releases: Iterable[Release]) -> Traffic:
    """Raises: Unavailable (the catalog, or a gateway that the catalog says lives, does not answer)."""
    names = list(dict.fromkeys(name for release in releases for name in _services(release)))
    if not names:
        return Traffic()
    live, _ = await health.service(ctx.catalog, GATEWAY_SERVICE, passing=True)
    addresses = [f"{entry.address}:{entry.service.port}" for entry in live]
    told = {(address, name): await ctx.gateways.service(address, name) for address in addresses for name in names}
    servers = {address: [one for name in names for one in _servers(told[address, name])] for address in addresses}
    ready = [frozenset(one.id for one in mine if one.state == client.READY) for mine in servers.values()]
    every = [one for mine in servers.values() for one in mine]
    return Traffic(
        endpoints=await instances.endpoints(ctx, names),
        routed=frozenset.intersection(*ready) if ready else frozenset(),
        reached=frozenset(one.id for one in every if one.state == client.READY and one.weight),
        gateways=len(live),
        attached=frozenset[str]().union(*ready),
        counts={f"{address}/{name}": _counts(answer) for (address, name), answer in told.items()},
        draining={one.id: one.requests for one in every if one.state != client.READY and one.requests},
    )


def running(group: Group, spec: Spec | None, seen: Traffic, since: datetime | None = None) -> Running:
    """What a release runs, with the instances that are ready; none is when the release is not known. Pure.

    Failures before `since` are not counted, nor is what says nothing of the release: a host port that another program
    has, a node that has no agent. Others come, elsewhere.
    """
    own = group.tasks
    alive = [task for task in own if task.is_alive]
    wanted = [task for task in alive if task.is_wanted]
    ready = [task for task in wanted if _is_ready(task, spec, seen)]
    recent = [task for task in own if task.has_failed and (since is None or task.changed_at > since)]
    lost = [task.error for task in recent if dot_pier.lacks_agent(task.error)]
    failed = (
        task for task in recent if not dot_pier.lacks_agent(task.error) and (group.is_single or not task.is_port_taken)
    )
    ended = sorted(failed, key=lambda task: task.changed_at)
    return Running(
        name=group.name,
        replicas=group.replicas,
        alive=len(alive),
        ready=len(ready),
        nodes=tuple(task.node for task in ready),
        forgetting=sum(task.is_being_forgotten for task in own),
        attached=sum(_is_in(seen.attached, task, seen) for task in alive),
        serving=sum(_is_in(seen.reached, task, seen) for task in alive),
        failures=len(ended),
        error=ended[-1].error if ended else "",
        waiting=(lost[-1] if lost else _why(wanted, spec, seen)) if len(ready) < group.replicas else "",
    )


def _services(release: Release) -> list[str]:
    ports = enumerate(release.spec.ports)
    return [service_name(release.app, release.environment, port, is_first=number == 0) for number, port in ports]


def _is_ready(task: Task, spec: Spec | None, seen: Traffic) -> bool:
    if spec is None:
        return False
    mine = [endpoint for endpoint in seen.endpoints if endpoint.meta.get(Meta.INSTANCE) == task.container]
    return task.is_running and all(_answers(port, mine, seen) for port in spec.ports)


def _is_in(ids: frozenset[str], task: Task, seen: Traffic) -> bool:
    mine = (endpoint.id for endpoint in seen.endpoints if endpoint.meta.get(Meta.INSTANCE) == task.container)
    return not ids.isdisjoint(mine)


def _answers(port: Port, mine: Sequence[Endpoint], seen: Traffic) -> bool:
    """Its endpoint is healthy, and every gateway sends it requests; Dubbo goes past the gateways."""
    healthy = [e for e in mine if e.meta.get(Meta.PORT) == port.name and e.state is State.HEALTHY]
    return bool(healthy) and (port.protocol is Protocol.DUBBO or all(e.id in seen.routed for e in healthy))


def _why(wanted: Sequence[Task], spec: Spec | None, seen: Traffic) -> str:
    """The first thing that is in the way of the instances that are not ready."""
    for task in wanted:
        if not task.is_running:
            return f"{task.state}: {task.error}" if task.error else task.state
    known = {endpoint.meta.get(Meta.INSTANCE): endpoint for endpoint in seen.endpoints}
    for task in wanted if spec and spec.ports else ():
        endpoint = known.get(task.container)
        if endpoint is None:
            return f"{task.container[:12]} is not registered in the catalog yet"
        if endpoint.state is not State.HEALTHY:
            said = f": {endpoint.output.strip()[:200]}" if endpoint.output.strip() else ""
            return f"{endpoint.address}:{endpoint.port} is {endpoint.state}{said}"
    if not wanted:
        return "no instance has been started yet"
    return "not routed by every gateway yet" if seen.gateways else "no gateway has reported to the catalog"


def _servers(answer: client.Service | None) -> Sequence[client.Server]:
    return answer.servers if answer else ()


def _counts(answer: client.Service | None) -> Mapping[str, Count]:
    told = answer.releases if answer else {}
    return {
        release: Count(one.requests, one.errors, one.failures, one.retries, one.response_ms)
        for release, one in told.items()
    }
