"""What HAProxy is to be: pools of servers, the hosts and paths and ports that lead to them. Pure.

A route that cannot be carried out is left out with the reason; the others never suffer from it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pierhead.gateway import slots
from pierhead.gateway.snapshot import Snapshot
from pierhead.model.app import Protocol
from pierhead.model.instance import Endpoint, State
from pierhead.model.route import Route

_SERVICE = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_HOST = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PATH = re.compile(r"/[!-~]*")
WITH_HOSTS = (Protocol.HTTP, Protocol.GRPC)


class Mode(StrEnum):
    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


MODES = {State.HEALTHY: Mode.READY, State.DRAINING: Mode.DRAIN, State.STARTING: Mode.MAINT, State.UNHEALTHY: Mode.MAINT}
_PRECEDENCE = (Mode.READY, Mode.DRAIN, Mode.MAINT)


@dataclass(frozen=True, slots=True)
class Server:
    """One slot of a pool. Without `key` nothing sits in it."""

    name: str
    key: slots.Key | None = None
    mode: Mode = Mode.MAINT
    weight: int = 1
    endpoints: tuple[Endpoint, ...] = ()
    """More than one when several registrations name the same address and port."""


@dataclass(frozen=True, slots=True)
class Problem:
    route: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pool:
    name: str
    """`<protocol>:<service>`, HAProxy's backend."""
    service: str
    protocol: Protocol
    servers: tuple[Server, ...]
    problems: tuple[Problem, ...] = ()
    """Endpoints that cannot be used."""

    @property
    def keys(self) -> tuple[slots.Key | None, ...]:
        return tuple(server.key for server in self.servers)


@dataclass(frozen=True, slots=True)
class Structure:
    """What cannot change while HAProxy runs: a difference here means a reload."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    """Pool → its slots."""
    sites: Mapping[str, str] = field(default_factory=dict)
    """`host/path/` → pool."""
    ports: Mapping[int, str] = field(default_factory=dict)
    """Service port → pool."""


@dataclass(slots=True)
class Draft:
    """What the routes alone amount to: the same for as long as they are."""

    blocked: Mapping[int, str] = field(default_factory=dict)
    sites: dict[str, str] = field(default_factory=dict)
    ports: dict[int, str] = field(default_factory=dict)
    weights: dict[str, Mapping[str, int]] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    """Pool → the first route to it."""
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    pools: Mapping[str, Pool] = field(default_factory=dict)
    structure: Structure = Structure()
    problems: tuple[Problem, ...] = ()
    draft: Draft = field(default_factory=Draft, compare=False)


def draw(
    snapshot: Snapshot,
    held: Mapping[str, Sequence[slots.Key | None]],
    blocked: Mapping[int, str],
    before: tuple[Snapshot, Layout] | None = None,
) -> Layout:
    """The layout that `snapshot` amounts to.

    `held`: pool → what sits in its slots now, for pools that `before` has not. `blocked`: ports that cannot be listened
    on, with the reason. A pool of `before` whose routes and endpoints are the same objects is taken over as it is: one
    change costs one pool.
    """
    draft = _draft(snapshot, blocked, before)
    pools = {name: _pool(name, route, draft, snapshot, held, before) for name, route in draft.routes.items()}
    sizes = {name: len(pool.servers) for name, pool in pools.items()}
    problems = (*draft.problems, *(problem for pool in pools.values() for problem in pool.problems))
    return Layout(pools, Structure(sizes, draft.sites, draft.ports), problems, draft)


def _draft(snapshot: Snapshot, blocked: Mapping[int, str], before: tuple[Snapshot, Layout] | None) -> Draft:
    if before and before[0].routes is snapshot.routes and before[1].draft.blocked == blocked:
        return before[1].draft
    draft = Draft(dict(blocked), problems=[Problem(name, reason) for name, reason in sorted(snapshot.refused.items())])
    for _, route in sorted(snapshot.routes.items()):
        _admit(draft, route, blocked)
    return draft


def pool_name(route: Route) -> str:
    return f"{route.protocol.value}:{route.service}"


def _admit(draft: Draft, route: Route, blocked: Mapping[int, str]) -> None:
    pool, sites = pool_name(route), _sites(route)
    reason = _refusal(draft, route, sites, blocked)
    if reason:
        draft.problems.append(Problem(route.name, reason))
        return
    draft.sites |= dict.fromkeys(sites, pool)
    if route.service_port:
        draft.ports[route.service_port] = pool
    draft.routes.setdefault(pool, route)
    if route.weights and draft.weights.setdefault(pool, route.weights) != route.weights:
        draft.problems.append(Problem(route.name, f"its weights differ from another route's to {route.service}"))


def _sites(route: Route) -> list[str]:
    if route.protocol not in WITH_HOSTS:
        return []
    return [f"{host.lower()}{path.rstrip('/')}/" for host in route.hosts for path in route.paths]


def _refusal(draft: Draft, route: Route, sites: Sequence[str], blocked: Mapping[int, str]) -> str:
    """Why the route cannot be carried out; empty when it can."""
    return next((reason for reason in _objections(draft, route, sites, blocked) if reason), "")


def _objections(draft: Draft, route: Route, sites: Sequence[str], blocked: Mapping[int, str]) -> Iterator[str]:
    pool, port = pool_name(route), route.service_port
    if not _SERVICE.fullmatch(route.service):
        yield f"{route.service!r} cannot be a service's name"
    if route.protocol not in WITH_HOSTS and route.hosts:
        yield f"{route.protocol} has no host names: give it a service_port"
    if not sites and not port:
        yield "neither hosts nor a service_port lead to it"
    yield from (f"{host!r} is no host name" for host in route.hosts if not _HOST.fullmatch(host.lower()))
    yield from (f"{path!r} is no path" for path in route.paths if not _PATH.fullmatch(path))
    yield from (f"{site} leads to {draft.sites[site]} already" for site in sites if draft.sites.get(site, pool) != pool)
    if port and draft.ports.get(port, pool) != pool:
        yield f"port {port} leads to {draft.ports[port]} already"
    if port and port in blocked:
        yield blocked[port]


def _pool(
    name: str,
    route: Route,
    draft: Draft,
    snapshot: Snapshot,
    held: Mapping[str, Sequence[slots.Key | None]],
    before: tuple[Snapshot, Layout] | None,
) -> Pool:
    endpoints = snapshot.endpoints.get(route.service, ())
    former = before[1].pools.get(name) if before else None
    if before and former and _is_same(before[0], snapshot, route.service):
        return former
    by_key = _by_key(endpoints)
    seats = slots.assign(former.keys if former else held.get(name, ()), by_key)
    ready = {key: found for key, found in by_key.items() if _mode(found) == Mode.READY}
    shares = slots.weights([found[0].release for found in ready.values()], draft.weights.get(name, {}))
    weight = dict(zip(ready, shares, strict=True))
    servers = tuple(_server(f"s{n}", key, by_key, weight) for n, key in enumerate(seats, 1))
    return Pool(name, route.service, route.protocol, servers, _unusable(route.service, endpoints))


def _is_same(before: Snapshot, now: Snapshot, service: str) -> bool:
    return before.routes is now.routes and before.endpoints.get(service, ()) is now.endpoints.get(service, ())


def _server(
    name: str,
    key: slots.Key | None,
    by_key: Mapping[slots.Key, tuple[Endpoint, ...]],
    weight: Mapping[slots.Key, int],
) -> Server:
    if key is None:
        return Server(name)
    return Server(name, key, _mode(by_key[key]), weight.get(key, slots.DEFAULT_WEIGHT), by_key[key])


def _by_key(endpoints: Sequence[Endpoint]) -> dict[slots.Key, tuple[Endpoint, ...]]:
    found: dict[slots.Key, tuple[Endpoint, ...]] = {}
    for endpoint in sorted(endpoints, key=lambda e: (_PRECEDENCE.index(MODES[e.state]), e.id)):
        key = (endpoint.address, endpoint.port)
        if _is_usable(endpoint):
            found[key] = (*found.get(key, ()), endpoint)
    return found


def _mode(endpoints: Sequence[Endpoint]) -> Mode:
    """Of one address and port: the best of what its registrations say, since a stale one never leaves by itself."""
    return MODES[endpoints[0].state]


def _is_usable(endpoint: Endpoint) -> bool:
    try:
        ipaddress.ip_address(endpoint.address)
    except ValueError:
        return False
    return 0 < endpoint.port < 65536


def _unusable(service: str, endpoints: Sequence[Endpoint]) -> tuple[Problem, ...]:
    return tuple(
        Problem(service, f"{endpoint.id}: {endpoint.address or 'no address'}:{endpoint.port} is no IP address")
        for endpoint in endpoints
        if not _is_usable(endpoint)
    )
