"""Services of a machine that are no containers, as a file in `services.d` declares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pierhead.model.app import Protocol
from pierhead.model.instance import HOST_PREFIX

RELEASE = "host"
"""The release that a route's weights call a host service by, unless its file gives another."""
PROBLEMS = "pier/agents/problem/"
"""Where the catalog has, by node, what its agent says is wrong with its files; as long as that agent lives."""
DRAIN = timedelta(seconds=30)
"""How long a host service that leaves is waited for, unless its file says otherwise."""


@dataclass(frozen=True, slots=True)
class Check:
    """How a host service shows that it can serve."""

    kind: str = "tcp"
    """`http`, `https`, `tcp`, `grpc`, `command`, `ttl` or `none`."""
    path: str = "/"
    method: str = "GET"
    command: tuple[str, ...] = ()
    interval: timedelta = timedelta(seconds=5)
    timeout: timedelta = timedelta(seconds=2)
    rise: int = 1
    fall: int = 3


@dataclass(frozen=True, slots=True)
class Service:
    """One port of one program that runs on the machine itself."""

    name: str
    """Unique on its machine."""
    service: str
    """What it is called in the catalog."""
    port: int
    address: str = ""
    """Empty: the node's own."""
    protocol: Protocol = Protocol.TCP
    port_name: str = ""
    tags: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    check: Check = Check()
    weight: int | None = None
    route: str = ""
    """`host/path` that leads to it."""
    app: str = ""
    environment: str = ""
    release: str = ""
    drain: timedelta = DRAIN

    @property
    def instance(self) -> str:
        return f"{HOST_PREFIX}{self.name}"
