"""What HAProxy is to be: pools of servers, the hosts and paths and ports that lead to them. Pure.

A route that cannot be carried out is left out with the reason; the others never suffer from it.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pierhead.gateway import slots
from pierhead.gateway.material import NONE, Material
from pierhead.gateway.snapshot import Snapshot
from pierhead.model import policy as policies
from pierhead.model import route as routes
from pierhead.model.app import Protocol
from pierhead.model.instance import Endpoint, State
from pierhead.model.policy import PLAIN, Policy
from pierhead.model.route import Route

WITH_HOSTS = routes.WITH_HOSTS
_NO_TLS = "tcp is found by name only where the gateway listens for TLS: the setting gateway.https_port"


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
    """`<protocol>:<service>`, HAProxy's backend; a policy of its own adds a mark."""
    service: str
    protocol: Protocol
    servers: tuple[Server, ...]
    problems: tuple[Problem, ...] = ()
    """Endpoints that cannot be used."""
    policy: Policy = PLAIN
    paths: tuple[str, ...] = ()
    """The paths that lead here, where the policy puts another in their place."""
    release: str = ""
    """Only its instances; empty: all of the service."""

    @property
    def keys(self) -> tuple[slots.Key | None, ...]:
        return tuple(server.key for server in self.servers)


@dataclass(frozen=True, slots=True)
class Structure:
    """What leads to the pools. The same object for as long as nothing of it changed."""

    sites: Mapping[str, str] = field(default_factory=dict)
    """`host/path/` → pool."""
    ports: Mapping[int, str] = field(default_factory=dict)
    """Service port → pool."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Name in a TLS connection that is passed on unopened → pool."""


@dataclass(slots=True)
class Draft:
    """What the routes alone amount to: the same for as long as they are."""

    blocked: Mapping[int, str] = field(default_factory=dict)
    has_tls: bool = False
    sites: dict[str, str] = field(default_factory=dict)
    ports: dict[int, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    weights: dict[str, Mapping[str, int]] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    """Pool → the first route to it."""
    pools_of: dict[str, list[str]] = field(default_factory=dict)
    """Service → its pools."""
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    pools: Mapping[str, Pool] = field(default_factory=dict)
    structure: Structure = Structure()
    draft: Draft = field(default_factory=Draft, compare=False)
    material: Material = NONE

    @property
    def problems(self) -> tuple[Problem, ...]:
        faults = (Problem(what, reason) for what, reason in sorted(self.material.problems.items()))
        return (*self.draft.problems, *(fault for pool in self.pools.values() for fault in pool.problems), *faults)


Held = Mapping[str, Sequence[slots.Key | None]]
"""Pool → what sits in its slots now."""
Blocked = Mapping[int, str]
"""Service port that cannot be listened on → the reason."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A layout with what it was drawn from."""

    snapshot: Snapshot
    layout: Layout


def draw(snapshot: Snapshot, held: Held, blocked: Blocked, before: Drawn | None = None) -> Layout:
    """The layout that `snapshot` amounts to.

    `held` is asked for pools that `before` has not. What neither a route nor an endpoint changed for since `before` is
    taken over as it is: one change costs one pool.
    """
    draft = _draft(snapshot, blocked, before)
    if before is None or before.layout.draft is not draft:
        pools = {name: _pool(name, draft, snapshot, held, before) for name in draft.routes}
        return Layout(pools, Structure(draft.sites, draft.ports, draft.names), draft, snapshot.material)
    pools = dict(before.layout.pools)
    for name in _concerned(before.snapshot, snapshot, draft):
        pools[name] = _pool(name, draft, snapshot, held, before)
    return Layout(pools, before.layout.structure, draft, snapshot.material)


def overtake(before: Drawn, now: Snapshot, sizes: Mapping[str, int]) -> Drawn:
    """`before` with the endpoints of `now`, as far as these need no slot more.

    Routes stay what they were. `sizes`: pool → its slots.
    """
    old = before.snapshot.endpoints
    fresh = {name: found for name, found in now.endpoints.items() if name in old and old[name] is not found}
    found = _with_endpoints(before, fresh)
    pools = (found.layout.pools[pool] for service in fresh for pool in before.layout.draft.pools_of.get(service, ()))
    grown = {pool.service for pool in pools if len(pool.servers) > sizes.get(pool.name, 0)}
    if not grown:
        return found
    return _with_endpoints(before, {name: value for name, value in fresh.items() if name not in grown})


def _with_endpoints(before: Drawn, fresh: Mapping[str, tuple[Endpoint, ...]]) -> Drawn:
    if not fresh:
        return before
    snapshot = replace(before.snapshot, endpoints={**before.snapshot.endpoints, **fresh})
    return Drawn(snapshot, draw(snapshot, {}, before.layout.draft.blocked, before))


def _concerned(before: Snapshot, now: Snapshot, draft: Draft) -> Iterator[str]:
    """The pools whose endpoints are others than before."""
    if before.endpoints is now.endpoints:
        return
    old, new = before.endpoints, now.endpoints
    services = [service for service, endpoints in new.items() if old.get(service) is not endpoints]
    for service in (*services, *(old.keys() - new.keys())):
        yield from draft.pools_of.get(service, ())


def _draft(snapshot: Snapshot, blocked: Blocked, before: Drawn | None) -> Draft:
    former = before.layout.draft if before else None
    has_tls = snapshot.material.has_tls
    is_same = before is not None and _has_same_routes(before.snapshot, snapshot)
    if former and is_same and (former.blocked, former.has_tls) == (blocked, has_tls):
        return former
    faults = [Problem(name, reason) for name, reason in sorted(snapshot.refused.items())]
    draft = Draft(dict(blocked), has_tls, problems=faults)
    implied = (route for _, asked in sorted(snapshot.implied.items()) for route in asked)
    for route in (*(route for _, route in sorted(snapshot.routes.items())), *implied):
        _admit(draft, route, blocked, has_tls=has_tls)
    return draft


def _has_same_routes(before: Snapshot, now: Snapshot) -> bool:
    return before.routes is now.routes and before.implied is now.implied


def pool_name(route: Route) -> str:
    """Routes that differ in what is done with a request have pools of their own."""
    plain = f"{route.protocol.value}:{route.service}" if route.service else "redirect"
    plain += f":{route.release}" if route.release else ""
    if route.policy == PLAIN and plain != "redirect":
        return plain
    told = json.dumps([policies.document(route.policy), _paths(route)], sort_keys=True)
    return f"{plain}:{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def _paths(route: Route) -> tuple[str, ...]:
    """Those that matter to what is done with a request, the longest first."""
    if not route.policy.rewrite:
        return ()
    return tuple(sorted({path.rstrip("/") for path in route.paths}, key=lambda path: (-len(path), path)))


def _admit(draft: Draft, route: Route, blocked: Blocked, *, has_tls: bool) -> None:
    pool, sites = pool_name(route), routes.sites(route)
    reason = "" if has_tls or not routes.names(route) else _NO_TLS
    reason = reason or _refusal(draft, route, sites, blocked)
    if reason:
        draft.problems.append(Problem(route.name, reason))
        return
    draft.sites |= dict.fromkeys(sites, pool)
    draft.names |= dict.fromkeys(routes.names(route), pool)
    if route.service_port:
        draft.ports[route.service_port] = pool
    if pool not in draft.routes:
        draft.routes[pool] = route
        draft.pools_of.setdefault(route.service, []).append(pool)
    if route.weights and draft.weights.setdefault(pool, route.weights) != route.weights:
        draft.problems.append(Problem(route.name, f"its weights differ from another route's to {route.service}"))


def leads(structure: Structure, route: Route) -> bool:
    """The route is carried out: something leads to its pool because of it."""
    ways = [
        *(structure.sites.get(site) for site in routes.sites(route)),
        *(structure.names.get(n) for n in routes.names(route)),
    ]
    return pool_name(route) in [*ways, structure.ports.get(route.service_port or 0)]


def _refusal(draft: Draft, route: Route, sites: Sequence[str], blocked: Blocked) -> str:
    """Why the route cannot be carried out; empty when it can."""
    return next((reason for reason in _objections(draft, route, sites, blocked) if reason), "")


def _objections(draft: Draft, route: Route, sites: Sequence[str], blocked: Blocked) -> Iterator[str]:
    pool, port = pool_name(route), route.service_port
    yield from (reason for _, reason in routes.faults(route))
    taken = (name for name in routes.names(route) if draft.names.get(name, pool) != pool)
    yield from (f"{name} leads to {draft.names[name]} already" for name in taken)
    yield from (f"{site} leads to {draft.sites[site]} already" for site in sites if draft.sites.get(site, pool) != pool)
    if port and draft.ports.get(port, pool) != pool:
        yield f"port {port} leads to {draft.ports[port]} already"
    if port and port in blocked:
        yield blocked[port]


def _pool(name: str, draft: Draft, snapshot: Snapshot, held: Held, before: Drawn | None) -> Pool:
    route = draft.routes[name]
    endpoints = snapshot.endpoints.get(route.service, ())
    former = before.layout.pools.get(name) if before else None
    if before and former and _is_same(before, snapshot, draft, name):
        return former
    if route.release:
        endpoints = tuple(one for one in endpoints if one.release == route.release)
    by_key = _by_key(endpoints)
    if not route.service:
        return Pool(name, "", route.protocol, (), policy=route.policy)
    is_hashed = route.policy.is_hashed
    seats = slots.scatter(by_key) if is_hashed else slots.assign(former.keys if former else held.get(name, ()), by_key)
    ready = {key: found for key, found in by_key.items() if _mode(found) == Mode.READY}
    said = [(found[0].release, found[0].weight) for found in ready.values()]
    shares = slots.weights(said, draft.weights.get(name, {}))
    weight = dict(zip(ready, shares, strict=True))
    servers = tuple(_server(f"s{n}", key, by_key, weight) for n, key in enumerate(seats, 1))
    if route.policy.sticky:  # a server that only drains still gets whoever comes back to it
        servers = tuple(replace(one, mode=Mode.MAINT) if one.mode == Mode.DRAIN else one for one in servers)
    unusable = _unusable(route.service, endpoints)
    return Pool(name, route.service, route.protocol, servers, unusable, route.policy, _paths(route), route.release)


def _is_same(before: Drawn, now: Snapshot, draft: Draft, name: str) -> bool:
    """Neither the endpoints of the pool nor what the routes say of it are others than they were."""
    route, former = draft.routes[name], before.layout.draft
    if former.routes.get(name) is not route and former.routes.get(name) != route:
        return False
    is_same_weight = former.weights.get(name) == draft.weights.get(name)
    old, new = before.snapshot.endpoints, now.endpoints
    return is_same_weight and old.get(route.service, ()) is new.get(route.service, ())


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
    return 0 < endpoint.port < 65536 and _is_address(endpoint.address)


def _is_address(text: str) -> bool:
    """Ten times as fast as the module `ipaddress`, which counts at a start: an estate has many."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


def _unusable(service: str, endpoints: Sequence[Endpoint]) -> tuple[Problem, ...]:
    return tuple(
        Problem(service, f"{endpoint.id}: {endpoint.address or 'no address'}:{endpoint.port} is no IP address")
        for endpoint in endpoints
        if not _is_usable(endpoint)
    )
