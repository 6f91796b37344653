"""What is there: the engine's services and tasks, the catalog's endpoints, what the gateways send requests to.

An answer that does not come is Unavailable, never "nothing is there".
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pierhead.model import instance
from pierhead.model.app import Port, Protocol, Spec, service_name
from pierhead.model.instance import GATEWAY_SERVICE, Endpoint, Label, Meta, State
from pierhead.release.plan import Running
from pierhead.wire.consul import health
from pierhead.wire.consul.client import Consul
from pierhead.wire.consul.records import Entry
from pierhead.wire.docker import services, tasks
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.services import Service
from pierhead.wire.docker.tasks import Task
from pierhead.wire.gateway import client as gateway

Place = tuple[str, str]
"""App and environment."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The engine's side, for every environment of this cluster."""

    services: Mapping[Place, Sequence[Service]]
    tasks: Mapping[str, Sequence[Task]]
    """By the id of their service."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The catalog's and the gateways' side, for the services of one environment."""

    endpoints: Sequence[Endpoint]
    routed: frozenset[str]
    """Ids of the endpoints that every live gateway sends requests to."""
    gateways: int
    """How many live gateways there are."""


async def cluster(engine: Engine, name: str) -> Cluster:
    """Raises: Unavailable."""
    labels = {Label.CLUSTER: name}
    by_place: dict[Place, list[Service]] = defaultdict(list)
    by_service: dict[str, list[Task]] = defaultdict(list)
    for service in await services.listing(engine, labels):
        by_place[service.labels.get(Label.APP, ""), service.labels.get(Label.ENVIRONMENT, "")].append(service)
    for task in await tasks.listing(engine, labels):
        by_service[task.service].append(task)
    return Cluster(by_place, by_service)


async def traffic(catalog: Consul, app: str, environment: str, spec: Spec) -> Traffic:
    """Raises: Unavailable (the catalog, or a gateway that the catalog says lives, does not answer)."""
    gateways, _ = await health.service(catalog, GATEWAY_SERVICE, passing=True)
    names = [service_name(app, environment, port, is_first=n == 0) for n, port in enumerate(spec.ports)]
    endpoints = []
    for name in names:
        entries, _ = await health.service(catalog, name)
        endpoints += [_endpoint(entry) for entry in entries]
    addresses = [f"http://{entry.service.address}:{entry.service.port}" for entry in gateways]
    ready = [await _ready(address, names) for address in addresses]
    routed = frozenset.intersection(*ready) if ready else frozenset()
    return Traffic(endpoints, routed, len(gateways))


def running(service: Service, tasks_: Iterable[Task], traffic_: Traffic, spec: Spec) -> Running:
    """One engine service with the instances that are ready. Pure."""
    own = list(tasks_)
    alive = [task for task in own if task.is_alive]
    wanted = [task for task in alive if task.is_wanted]
    ready = [task for task in wanted if _is_ready(task, traffic_, spec)]
    ended = sorted((task for task in own if task.has_failed), key=lambda task: task.changed_at)
    return Running(
        name=service.name,
        replicas=service.replicas,
        alive=len(alive),
        ready=len(ready),
        failures=len(ended),
        error=ended[-1].error if ended else "",
        waiting=_why(wanted, traffic_, spec) if len(ready) < service.replicas else "",
    )


def _is_ready(task: Task, traffic_: Traffic, spec: Spec) -> bool:
    if not task.is_running:
        return False
    mine = [endpoint for endpoint in traffic_.endpoints if endpoint.meta.get(Meta.INSTANCE) == task.container]
    return all(_answers(port, mine, traffic_) for port in spec.ports)


def _answers(port: Port, endpoints: Sequence[Endpoint], traffic_: Traffic) -> bool:
    """Its endpoint is healthy, and every gateway sends it requests; Dubbo goes past the gateways."""
    healthy = [e for e in endpoints if e.meta.get(Meta.PORT) == port.name and e.state is State.HEALTHY]
    return bool(healthy) and (port.protocol is Protocol.DUBBO or all(e.id in traffic_.routed for e in healthy))


def _why(wanted: Sequence[Task], traffic_: Traffic, spec: Spec) -> str:
    """The first thing that is in the way of the instances that are not ready."""
    for task in wanted:
        if not task.is_running:
            return f"{task.state}: {task.error}" if task.error else task.state
    if not spec.ports:
        return ""
    known = {e.meta.get(Meta.INSTANCE): e for e in traffic_.endpoints}
    for task in wanted:
        endpoint = known.get(task.container)
        if endpoint is None:
            return f"{task.container[:12]} is not registered in the catalog yet"
        if endpoint.state is not State.HEALTHY:
            return f"{endpoint.address}:{endpoint.port} is {endpoint.state}: {endpoint.output.strip()[:200]}"
    return "no gateway reports to the catalog" if not traffic_.gateways else "not routed by every gateway yet"


async def _ready(address: str, names: Sequence[str]) -> frozenset[str]:
    async with asyncio.timeout(5):
        answers = [await gateway.service(address, name) for name in names]
    return frozenset(server.id for answer in answers if answer for server in answer.servers if server.state == "ready")


def _endpoint(entry: Entry) -> Endpoint:
    statuses = {check.id: check.status for check in entry.checks}
    worst = next((check for check in entry.checks if check.status == "critical"), None)
    return Endpoint(
        id=entry.service.id,
        service=entry.service.name,
        address=entry.service.address or entry.node.address,
        port=entry.service.port,
        state=instance.state(statuses, entry.service.id),
        meta=entry.service.meta,
        output=worst.output if worst else "",
    )
