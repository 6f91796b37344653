"""What the catalog is to hold of a host service. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pierhead.agent.endpoint import CRITICAL, SHORTEST, Endpoint, Held, Kind, Node, Probe
from pierhead.agent.health import Health
from pierhead.agent.plan import Wanted
from pierhead.model.host import Service
from pierhead.model.instance import Meta

KIND = "host"


def endpoint(node: Node, service: Service) -> Endpoint:
    """Its endpoint: of the same shape as a container's."""
    said = {
        Meta.APP: service.app,
        Meta.ENVIRONMENT: service.environment,
        Meta.RELEASE: service.release,
        Meta.PORT: service.port_name,
        Meta.CLUSTER: node.cluster if service.app else "",
        Meta.ROUTE: service.route,
        Meta.TTL: f"{service.check.interval.total_seconds():g}" if service.check.kind == "ttl" else "",
        Meta.WEIGHT: "" if service.weight is None else str(service.weight),
    }
    return Endpoint(
        id=f"{node.name}:{service.name}",
        service=service.service,
        address=service.address or node.advertise,
        port=service.port,
        container_port="",
        tags=service.tags or tuple(tag for tag in (service.environment, service.release) if tag),
        meta={
            **service.meta,
            Meta.OWNER: node.id,
            Meta.KIND: KIND,
            Meta.NODE: node.name,
            Meta.INSTANCE: service.instance,
            Meta.PROTOCOL: service.protocol.value,
            **{key: value for key, value in said.items() if value},
        },
        probe=probe(service),
    )


def probe(service: Service) -> Probe:
    """How the agent asks it."""
    check = service.check
    return Probe(
        kind=Kind(check.kind),
        path=check.path,
        method=check.method,
        command=check.command,
        interval=max(SHORTEST, check.interval),
        timeout=max(SHORTEST, check.timeout),
        rise=check.rise,
        fall=check.fall,
        initial=CRITICAL,
    )


def wanted(found: Endpoint, seen: Mapping[str, Health]) -> Wanted:
    """What the catalog should hold while its file declares it."""
    if not found.probe.is_asked:
        is_there = found.probe.kind is Kind.NONE
        return Wanted(found, "passing" if is_there else found.probe.initial, "its file says so" if is_there else "")
    health = seen.get(found.id)
    return Wanted(found, health.status if health else CRITICAL, health.output if health else "")


def leaving(held: Iterable[Held]) -> list[Wanted]:
    """What the catalog should hold of what it holds, while it drains: the same, in maintenance."""
    return [
        Wanted(
            Endpoint(one.id, one.service, one.address, one.port, "", one.tags, one.meta, Probe(Kind.NONE)),
            one.status,
            one.output,
            is_draining=True,
        )
        for one in held
    ]


def rival(found: Endpoint, held: Iterable[Held]) -> Held | None:
    """What else this node has at that very place: one of the two is not what it says."""
    return next(
        (
            one
            for one in held
            if (one.address, one.port) == (found.address, found.port) and one.meta.get(Meta.KIND) != KIND
        ),
        None,
    )
