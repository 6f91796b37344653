"""What the agent wants the catalog to hold: the words that conventions, plan, probes and loop share. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

PASSING, CRITICAL = "passing", "critical"
SHORTEST = timedelta(milliseconds=100)
"""Interval and timeout of a probe: a label must not keep the agent busy."""


@dataclass(frozen=True, slots=True)
class Node:
    """The node that an agent speaks for."""

    id: str
    """Kept in the data folder for ever; the owner of everything it registers."""
    name: str
    advertise: str
    cluster: str
    advertise_ipv6: str = ""


class Kind(StrEnum):
    HTTP = "http"
    HTTPS = "https"
    TCP = "tcp"
    GRPC = "grpc"
    GRPCS = "grpcs"
    """gRPC over TLS."""
    COMMAND = "command"
    """Run inside the container; exit code 0 passes."""
    NONE = "none"
    """It passes while its container runs."""
    TTL = "ttl"
    """Somebody else tells the catalog."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How an endpoint is asked whether it can serve."""

    kind: Kind
    path: str = "/"
    method: str = "GET"
    command: tuple[str, ...] = ()
    interval: timedelta = timedelta(seconds=5)
    timeout: timedelta = timedelta(seconds=2)
    rise: int = 1
    fall: int = 3
    initial: str = CRITICAL
    """The status until the first result."""
    decides: bool = True
    """False: where its container has a HEALTHCHECK, that one must say `healthy` too."""

    @property
    def is_asked(self) -> bool:
        return self.kind not in (Kind.NONE, Kind.TTL)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One port of one container."""

    id: str
    service: str
    address: str
    port: int
    container_port: str
    """`8000/tcp`"""
    tags: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    probe: Probe = Probe(Kind.NONE)


@dataclass(frozen=True, slots=True)
class Stop:
    """How one of Pierhead's own containers is stopped."""

    signal: str
    """Empty: its image's own."""
    drain: timedelta
    stop: timedelta


@dataclass(frozen=True, slots=True)
class Held:
    """One endpoint as the catalog holds it."""

    id: str
    service: str
    address: str
    port: int
    tags: tuple[str, ...]
    meta: Mapping[str, str]
    status: str
    output: str
    maintenance: str | None
    """Why it is in maintenance; None when it is not."""
