"""Which routes lead to an environment's releases. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pierhead.model.app import Domains, Port, Protocol, service_name
from pierhead.model.policy import Policy
from pierhead.model.release import Release
from pierhead.model.route import Route


def routes(
    releases: Sequence[Release], domains: Domains, cluster: str, *, is_in_maintenance: bool = False
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
    return {name: _kept(route, cluster, is_in_maintenance) for name, route in found.items()}


def _kept(route: Route, cluster: str, is_in_maintenance: bool) -> Route:
    if not is_in_maintenance or route.protocol is Protocol.TCP:
        return replace(route, owner=cluster)
    return replace(route, owner=cluster, policy=replace(route.policy, maintenance=True))


def _routes(release: Release, port: Port, domains: Domains, *, is_first: bool) -> Iterator[Route]:
    name = service_name(release.app, release.environment, port, is_first=is_first)
    hosts = domains.hosts(release.app, release.environment, port, is_first=is_first)
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
