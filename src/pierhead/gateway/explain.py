"""Why HAProxy's file and maps say what they say: each part with the routes, metadata or settings it comes from. Pure.

It names certificates, never what is in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pierhead.gateway import layout as layout_
from pierhead.gateway import listing, render
from pierhead.gateway.frame import HOSTS, NAME_WILDCARDS, NAMES, SITES, WILDCARDS
from pierhead.gateway.layout import Layout, Pool, Problem
from pierhead.gateway.loaded import Homes, Loaded
from pierhead.gateway.pool import socket
from pierhead.gateway.snapshot import Snapshot
from pierhead.model import policy
from pierhead.model import route as routes_
from pierhead.model.route import Route

_SECTION = re.compile(r"^(global|(?:defaults|frontend|backend) [^ \n]+)", re.MULTILINE)
_OWN = {
    "global": "settings of this gateway",
    "defaults http": "what every HTTP section begins with",
    "defaults tcp": "what every TCP section begins with",
    "frontend http": "settings of this gateway: its ports for HTTP and HTTPS; the maps lead on from here",
    "frontend tls": "some routes take TLS connections unopened, by their name",
    "frontend metrics": "HAProxy's own numbers, for this gateway's /metrics",
    "backend inside": "TLS connections that no route takes unopened are opened by the frontend `http`",
    "backend nobody": "names that nobody declared: 404",
}
"""Section → why it is there, where no route is the reason."""
_KIND_OF_MAP = {
    HOSTS: "host",
    WILDCARDS: "host",
    SITES: "site",
    NAMES: "name",
    NAME_WILDCARDS: "name",
}


@dataclass(frozen=True, slots=True)
class Running:
    """What HAProxy has now."""

    text: str
    """haproxy.cfg as it is on disk."""
    maps: render.Maps
    layout: Layout
    homes: Homes
    loaded: Loaded

    @property
    def is_loaded(self) -> bool:
        """The worker has read this very file."""
        return bool(self.loaded.mark) and f"description {self.loaded.mark}\n" in self.text


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    """As it begins in the file: `backend http:web`."""
    why: str
    servers: Mapping[str, str] = field(default_factory=dict)
    """Slot → who sits in it now, which since the reload may be others than in the file."""


@dataclass(frozen=True, slots=True)
class Entry:
    map: str
    key: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Explained:
    sections: tuple[Section, ...]
    """In the order of the file."""
    maps: tuple[Entry, ...]
    left_out: tuple[Problem, ...]
    pending: tuple[str, ...]
    """Routes that nothing leads to yet."""


def explain(running: Running, snapshot: Snapshot) -> Explained:
    """Every section and entry with its reason, and what there is none of."""
    origins = _Origins(running.layout, snapshot)
    sections = (_section(found[1], running, origins) for found in _SECTION.finditer(running.text))
    file = (
        [] if running.is_loaded else ["the file on disk: HAProxy runs another one, and reads this at its next reload"]
    )
    waiting = [one.name for one in listing.listing(snapshot, running.layout) if one.state == "waiting"]
    return Explained(
        tuple(sections),
        tuple(_entries(running.maps, origins)),
        running.layout.problems,
        (*file, *(f"route {name}: not carried out yet" for name in waiting)),
    )


class _Origins:
    """Where that comes from which routes ask for: the routes that are carried out, by what they ask for."""

    def __init__(self, layout: Layout, snapshot: Snapshot) -> None:
        self._found: dict[tuple[str, str], list[str]] = {}
        for route in snapshot.routes.values():
            self._add(layout, route, f"document pier/routes/{route.name}")
        for service, routes in snapshot.implied.items():
            for route in routes:
                self._add(layout, route, f"metadata `route` of the service {service}")

    def of(self, kind: str, key: str) -> str:
        """The documents and services; empty when no route asks for it any more."""
        return ", ".join(self._found.get((kind, key), ()))

    def _add(self, layout: Layout, route: Route, origin: str) -> None:
        if not layout_.leads(layout.structure, route):
            return
        for key in _asked(route):
            known = self._found.setdefault(key, [])
            if origin not in known:
                known.append(origin)


def _asked(route: Route) -> Iterator[tuple[str, str]]:
    yield "pool", layout_.pool_name(route)
    yield "port", str(route.service_port or 0)
    for site in routes_.sites(route):
        yield "site", site
        yield "host", site.split("/", 1)[0].removeprefix("*")
    for name in routes_.names(route):
        yield "name", name.removeprefix("*")


def _section(name: str, running: Running, origins: _Origins) -> Section:
    kind, _, what = name.partition(" ")
    if name in _OWN:
        return Section(name, _OWN[name])
    if kind == "frontend":
        port = what.removeprefix("port:")
        return Section(name, f"service port {port}: {origins.of('port', port) or _unasked()}")
    if what in running.loaded.spares:
        return _spare(name, what, running, origins)
    pool = running.layout.pools.get(what)
    return Section(name, _reason(pool, origins), _servers(pool)) if pool else Section(name, _unasked())


def _unasked() -> str:
    return "no route leads here any more; it goes with the next reload"


def _spare(name: str, backend: str, running: Running, origins: _Origins) -> Section:
    pool = next((running.layout.pools.get(one) for one, home in running.homes.of.items() if home == backend), None)
    if pool:
        return Section(name, f"spare, taken by {pool.name}: {_reason(pool, origins)}", _servers(pool))
    if backend in running.homes.used:
        return Section(name, "spare, was used; none is used twice, because requests may still run")
    return Section(name, "spare: it waits for a service that is not there yet")


def _reason(pool: Pool, origins: _Origins) -> str:
    told = policy.document(pool.policy)
    options = "; its options: " + ", ".join(f"{key}={value}" for key, value in told.items()) if told else ""
    release = f"; only the release {pool.release}" if pool.release else ""
    return f"{origins.of('pool', pool.name) or _unasked()}{release}{options}"


def _servers(pool: Pool) -> dict[str, str]:
    seated = ((server, server.key) for server in pool.servers)
    return {
        server.name: f"{socket(*key)} {server.mode} weight {server.weight}: {', '.join(e.id for e in server.endpoints)}"
        for server, key in seated
        if key
    }


def _entries(maps: render.Maps, origins: _Origins) -> Iterator[Entry]:
    for name, entries in maps.items():
        kind = _KIND_OF_MAP[name]
        for key, value in entries.items():
            yield Entry(name, key, value, origins.of(kind, key) or "no route asks for it any more")
