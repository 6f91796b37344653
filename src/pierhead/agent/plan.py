"""What has to change in the catalog so that it says what one container is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pierhead.agent import foreign, health, own
from pierhead.agent.endpoint import CRITICAL, PASSING, Endpoint, Held, Kind, Node
from pierhead.agent.health import Health
from pierhead.kit import errors
from pierhead.model.instance import Label, Meta, is_host
from pierhead.model.step import Plan, Step
from pierhead.wire.docker.containers import Container

DRAIN_REASON = "pier: drains before it stops"
"""Marks the maintenance that the agent itself has set: any other is a person's, and stays."""
_OUTPUT_LIMIT = 500
_CAUSES = {
    "deregister": ("its container has no such port now", "it has left"),
    "drain": ("its container is to stop", "its file does not have it any more, or its drain was asked for"),
    "return": ("its container goes on", "its file has it again"),
}
"""Of a container's endpoint, and of a host service's."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One endpoint as the catalog should hold it."""

    endpoint: Endpoint
    status: str
    output: str = ""
    is_draining: bool = False


def is_own(node: Node, container: Container) -> bool:
    """Pierhead started it, for this cluster."""
    return container.labels.get(Label.CLUSTER) == node.cluster


def endpoints(node: Node, container: Container) -> list[Endpoint]:
    """The container's endpoints; none of another cluster's, and none while it does not run. Raises: Invalid."""
    if not container.running:
        return []
    if is_own(node, container):
        return own.endpoints(node, container)
    return [] if Label.CLUSTER in container.labels else foreign.endpoints(node, container)


def readable_endpoints(node: Node, container: Container) -> list[Endpoint]:
    """Like `endpoints`; none where its labels cannot be read."""
    try:
        return endpoints(node, container)
    except errors.Invalid:
        return []


def wanted(
    container: Container, endpoints: Iterable[Endpoint], healths: Mapping[str, Health], *, is_draining: bool
) -> list[Wanted]:
    """What the catalog should hold of a container with these endpoints, by what probes and engine say."""
    return [
        Wanted(endpoint, status, output[:_OUTPUT_LIMIT].strip(), is_draining)
        for endpoint in endpoints
        for status, output in [_status(container, endpoint, healths.get(endpoint.id))]
    ]


def without_strangers(wanted: Iterable[Wanted], strangers: Mapping[str, str]) -> list[Wanted]:
    """What answers at an endpoint does not count where it is somebody else. `strangers`: endpoint → why not."""
    return [
        replace(one, status=CRITICAL, output=strangers[one.endpoint.id]) if one.endpoint.id in strangers else one
        for one in wanted
    ]


def passing(endpoints: Iterable[Endpoint], held: Iterable[Held]) -> set[str]:
    """The endpoints that the catalog has as passing at this very place: an agent that starts again goes on from it."""
    known = {(one.id, one.address, one.port, one.meta.get(Meta.INSTANCE)) for one in held if one.status == PASSING}
    return {one.id for one in endpoints if (one.id, one.address, one.port, one.meta.get(Meta.INSTANCE)) in known}


def plan(wanted: Sequence[Wanted], held: Sequence[Held]) -> Plan:
    """The steps from what the catalog holds of one container to what it should hold; empty when that is the same."""
    there = {one.id: one for one in held}
    ids = {one.endpoint.id for one in wanted}
    gone = [Step("deregister", one.id, _cause("deregister", one.meta), one) for one in held if one.id not in ids]
    return Plan((*gone, *(step for one in wanted for step in _steps(one, there.get(one.endpoint.id)))))


def _steps(one: Wanted, held: Held | None) -> list[Step]:
    endpoint = one.endpoint
    if held is None:
        if one.is_draining:
            return []
        why = [Step("fail", endpoint.id, one.output, one)] if one.status == CRITICAL and one.output else []
        return [Step("register", endpoint.id, _place(endpoint), one), *why]
    if held.meta.get(Meta.INSTANCE) != endpoint.meta.get(Meta.INSTANCE):
        cause = "another container has this name now"
        return [Step("deregister", endpoint.id, cause, held), *_steps(one, None)]
    steps = []
    if changed := _changes(endpoint, held):
        steps.append(Step("register", endpoint.id, f"{changed} changed", one))
    if one.is_draining and held.maintenance is None:
        steps.append(Step("drain", endpoint.id, _cause("drain", endpoint.meta), one))
    if not one.is_draining and held.maintenance == DRAIN_REASON:
        steps.append(Step("return", endpoint.id, _cause("return", endpoint.meta), one))
    if not one.is_draining and endpoint.probe.kind is not Kind.TTL and _says_otherwise(one, held):
        kind = "pass" if one.status == PASSING else "fail"
        steps.append(Step(kind, endpoint.id, one.output, one))
    return steps


def _cause(kind: str, meta: Mapping[str, str]) -> str:
    return _CAUSES[kind][is_host(meta.get(Meta.INSTANCE, ""))]


def _says_otherwise(one: Wanted, held: Held) -> bool:
    """What a passing endpoint has said is nobody's concern; why one does not pass is."""
    return one.status != held.status or (one.status == CRITICAL and one.output != held.output)


def _place(endpoint: Endpoint) -> str:
    address = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"{endpoint.service} at {address}:{endpoint.port}"


def _changes(endpoint: Endpoint, held: Held) -> str:
    differs = {
        "service": endpoint.service != held.service,
        "address": (endpoint.address, endpoint.port) != (held.address, held.port),
        "tags": endpoint.tags != held.tags,
        "meta": dict(endpoint.meta) != dict(held.meta),
        "check": not held.status,
    }
    return ", ".join(name for name, is_other in differs.items() if is_other)


def _status(container: Container, endpoint: Endpoint, seen: Health | None) -> tuple[str, str]:
    if container.paused:
        return CRITICAL, "its container is paused"
    if decided := health.check(endpoint.probe, container.health, container.health_output):
        return decided
    if endpoint.probe.kind is Kind.TTL:
        return endpoint.probe.initial, ""
    if not endpoint.probe.is_asked:
        return PASSING, "its container runs"
    return (seen.status, seen.output) if seen else (endpoint.probe.initial, "")
