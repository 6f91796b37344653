"""Which routes lead to an environment's releases. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pierhead.model.app import Port, Protocol, host_name, service_name
from pierhead.model.release import Release
from pierhead.model.route import Route


def routes(releases: Sequence[Release], domain: str, cluster: str) -> dict[str, Route]:
    """The routes of an environment by name, newest release first.

    While it moves from one release to another both are given, and a name that either has leads to the service: names
    of the new release work as soon as its instances do, names that it drops work until it is there.
    """
    found: dict[str, Route] = {}
    for release in releases:
        for position, port in enumerate(release.spec.ports):
            if port.protocol is Protocol.DUBBO:
                continue
            route = replace(_route(release, port, domain, is_first=position == 0), owner=cluster)
            found[route.name] = _joined(found[route.name], route) if route.name in found else route
    return found


def _route(release: Release, port: Port, domain: str, *, is_first: bool) -> Route:
    name = service_name(release.app, release.environment, port, is_first=is_first)
    own = host_name(release.app, release.environment, domain)
    return Route(
        name=name,
        service=name,
        protocol=port.protocol,
        hosts=() if port.protocol is Protocol.TCP else (own if is_first else f"{port.name}.{own}", *port.hosts),
        paths=port.paths,
        service_port=port.service_port,
    )


def _joined(newer: Route, older: Route) -> Route:
    return replace(
        newer,
        hosts=tuple(dict.fromkeys([*newer.hosts, *older.hosts])),
        paths=tuple(dict.fromkeys([*newer.paths, *older.paths])),
        service_port=newer.service_port or older.service_port,
    )
