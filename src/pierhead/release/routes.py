"""Which routes lead to an environment's releases. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pierhead.model.app import Domains, Port, Protocol, service_name
from pierhead.model.policy import Policy
from pierhead.model.release import Release
from pierhead.model.route import Route


@dataclass(frozen=True, slots=True)
class Shares:
    """What becomes of an environment's requests besides."""

    weights: Mapping[str, int] = field(default_factory=dict)
    """Release, or `*` for the others together → its share; empty: every instance counts the same."""
    preview: Release | None = None
    """The release that is found at its preview host too."""
    is_in_maintenance: bool = False


def routes(
    releases: Sequence[Release], domains: Domains, cluster: str, shares: Shares | None = None
) -> dict[str, Route]:
    """The routes of an environment by name, newest release first.

    While it moves from one release to another both are given, and a name that either has leads to the service: names
    of the new release work as soon as its instances do, names that it drops work until it is there.
    """
    found: dict[str, Route] = {}
    for release in releases:
        for position, port in enumerate(release.spec.ports):
            if port.protocol is Protocol.DUBBO:
                continue
            for route in _routes(release, port, domains, is_first=position == 0):
                found[route.name] = _joined(found[route.name], route) if route.name in found else route
    shares = shares or Shares()
    kept = {name: _kept(route, cluster, shares.is_in_maintenance) for name, route in found.items()}
    kept = {name: replace(route, weights=shares.weights) if route.service else route for name, route in kept.items()}
    return kept | (_previews(shares.preview, kept) if shares.preview else {})


def _previews(release: Release, found: Mapping[str, Route]) -> dict[str, Route]:
    """The release alone, under names of its own."""
    return {
        f"{name}-preview": replace(
            route,
            name=f"{name}-preview",
            hosts=(f"preview.{route.hosts[0]}",),
            service_port=None,
            weights={},
            release=release.name,
        )
        for name, route in found.items()
        if route.hosts and route.service
    }


def _kept(route: Route, cluster: str, is_in_maintenance: bool) -> Route:
    if not is_in_maintenance or route.protocol is Protocol.TCP:
        return replace(route, owner=cluster)
    return replace(route, owner=cluster, policy=replace(route.policy, maintenance=True))


def _routes(release: Release, port: Port, domains: Domains, *, is_first: bool) -> Iterator[Route]:
    name = service_name(release.app, release.environment, port, is_first=is_first)
    own = domains.of(release.spec, release.environment)
    hosts = own.hosts(release.app, release.environment, port, is_first=is_first)
    yield Route(
        name=name,
        service=name,
        protocol=port.protocol,
        hosts=hosts,
        paths=port.paths,
        service_port=port.service_port,
        policy=port.policy,
    )
    if port.redirect_hosts:
        target = Policy(redirect=(port.hosts or hosts)[0], redirect_code=port.policy.redirect_code)
        yield Route(name=f"{name}.redirect", service="", hosts=port.redirect_hosts, policy=target)


def _joined(newer: Route, older: Route) -> Route:
    return replace(
        newer,
        hosts=tuple(dict.fromkeys([*newer.hosts, *older.hosts])),
        paths=tuple(dict.fromkeys([*newer.paths, *older.paths])),
        service_port=newer.service_port or older.service_port,
    )
