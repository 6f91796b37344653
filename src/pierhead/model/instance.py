"""A running container and what the catalog says of it: the words that agent, gateway and release agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

HOST_PREFIX = "host:"
"""How the instance of a host service is named in the catalog's Meta: `host:<name>`. A container's id has no colon."""


class Label:
    """Labels that Pierhead writes on engine services and on their containers."""

    CLUSTER = "pier.cluster"
    """Whose it is: the setting `cluster`. Nothing without this label, or with another value, is ever touched."""
    APP = "pier.app"
    ENVIRONMENT = "pier.environment"
    RELEASE = "pier.release"
    """`v3`"""
    JOB = "pier.job"
    """`pre_deploy`, `post_deploy`, `run`: it runs once and serves nothing."""
    RUN = "pier.run"
    """Of a job that somebody asked for: the number of the run."""
    PORTS = "pier.ports"
    """JSON: `[{"name": "web", "port": 8000, "protocol": "http", "service": "notes-dev"}]`"""
    HEALTH = "pier.health"
    """JSON: `{"probe": "http", "path": "/", "port": "web", "interval_seconds": 5, "timeout_seconds": 2, "rise": 1,
    "fall": 3}`"""
    ACCOUNT = "pier.registry.account"
    """Of an engine service only: a mark of the registry account that its nodes have been told. It is no secret."""
    STOP = "pier.stop"
    """JSON: `{"signal": "SIGTERM", "drain_seconds": 30, "stop_seconds": 10}`: the image's own signal, sent by the
    agent after the drain, because the engine's (SIGCONT) does nothing."""


class Meta:
    """Keys of a catalog service's Meta. Values are texts."""

    OWNER = "pier-owner"
    """The identity of the agent that registered it; no other agent touches it."""
    KIND = "pier-kind"
    """`container` or `host`."""
    NODE = "pier-node"
    INSTANCE = "pier-instance"
    """The container's full id; `host:<name>` of a host service."""
    APP = "pier-app"
    ENVIRONMENT = "pier-environment"
    RELEASE = "pier-release"
    """`v3`"""
    PORT = "pier-port"
    """The port's name."""
    PROTOCOL = "pier-protocol"
    CLUSTER = "pier-cluster"
    WEIGHT = "pier-weight"
    """Share of the requests beside the other endpoints of the service, 0 to 256; without it an endpoint has 100."""
    TTL = "pier-ttl"
    """Of a host service that tells the catalog itself: within how many seconds."""
    ROUTE = "route"
    """`host/path` that leads to the service without a route's document: a container's SERVICE_ROUTE, a host service's
    `route`."""
    HTTP = "http"
    """Of a gateway: `host:port` that it listens on for HTTP."""


class State(StrEnum):
    """An endpoint as the catalog's checks describe it."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"


GATEWAY_SERVICE = "pier-gateway"
"""The catalog service under which every gateway registers its admin address, with a TTL check it keeps alive."""


HEAVIEST = 256
WEIGHT = 100
"""Of an endpoint that says nothing of its weight."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`address:port` of one instance, as the catalog holds it."""

    id: str
    """The catalog's service id: `<node>:<container name>:<container port>`."""
    service: str
    address: str
    port: int
    state: State
    meta: Mapping[str, str]
    output: str = ""
    """What the worst check said."""
    weight: int = WEIGHT
    """Its share beside the other endpoints of the service."""

    @property
    def release(self) -> str:
        return self.meta.get(Meta.RELEASE, "")


def is_host(instance: str) -> bool:
    """The instance is a host service, not a container."""
    return instance.startswith(HOST_PREFIX)


def state(statuses: Mapping[str, str], service_id: str) -> State:
    """The state that check statuses (check id → `passing`, `warning`, `critical`) of one endpoint amount to.

    Maintenance of the service or of its node wins: whoever drains wants no new request, healthy or not.
    """
    if f"_service_maintenance:{service_id}" in statuses or "_node_maintenance" in statuses:
        return State.DRAINING
    if "critical" in statuses.values():
        return State.UNHEALTHY
    return State.HEALTHY


def weight(meta: Mapping[str, str], passing: int = 1) -> int:
    """The weight that an endpoint's metadata declares, or else `passing`, the catalog's own, whose usual value is 1."""
    said = meta.get(Meta.WEIGHT, "")
    if said.isascii() and said.isdigit():
        return min(HEAVIEST, int(said))
    return WEIGHT * max(0, passing)
