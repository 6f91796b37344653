"""What Prometheus reads: HAProxy's own numbers, whose they are, and those of the controller. Pure.

HAProxy counts by backend and server. A backend may be a spare one that a service moved into, so its name is replaced by
the pool's; `pierhead_gateway_endpoint_info` says which service, release and endpoint sits in which server now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pierhead.gateway import layout as layout_
from pierhead.gateway.layout import Layout
from pierhead.gateway.meter import Count
from pierhead.model.route import Route

_PROXY = re.compile(r'proxy="(spare:[^"]*)"')


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of the controller."""

    reloads: int
    repairs: int
    changes: int
    seconds: float
    old_workers: int
    problems: int
    index: int
    is_live: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """What went to whom, and by which routes it came."""

    counts: Mapping[tuple[str, str, str], Count]
    """Service, pool, release → its count."""
    routes: Iterable[Route]


def text(haproxy: str, numbers: Numbers, layout: Layout, homes: Mapping[str, str], counted: Counted) -> str:
    """`haproxy`: what its exporter says. `homes`: pool → backend, for pools that have not the one of their name."""
    pools = {backend: pool for pool, backend in homes.items()}
    named = _PROXY.sub(lambda found: f'proxy="{pools.get(found[1], found[1])}"', haproxy)
    mine = (*_controller(numbers), *_releases(counted.counts), *_routes(layout, counted.routes), *_endpoints(layout))
    return "".join((named, *mine))


def _controller(numbers: Numbers) -> Iterator[str]:
    yield from _one("reloads_total", "counter", "Reloads of HAProxy.", numbers.reloads)
    yield from _one("repairs_total", "counter", "Times HAProxy was found changed by others.", numbers.repairs)
    yield from _one("changes_total", "counter", "Changes that were carried out.", numbers.changes)
    yield from _one("change_seconds_total", "counter", "Time that these took.", round(numbers.seconds, 6))
    yield from _one("old_workers", "gauge", "Workers that only finish what they have.", numbers.old_workers)
    yield from _one("problems", "gauge", "What is left out, and what else is wrong.", numbers.problems)
    yield from _one("catalog_index", "gauge", "The catalog's index that is carried out.", numbers.index)
    yield from _one("catalog_live", "gauge", "1: the catalog answers.", int(numbers.is_live))


def _one(name: str, kind: str, meaning: str, value: float) -> Iterator[str]:
    full = f"pierhead_gateway_{name}"
    yield f"# HELP {full} {meaning}\n# TYPE {full} {kind}\n{full} {value}\n"


_COUNTERS = {
    "requests": "Requests that its instances were given; connections where the port is plain TCP.",
    "errors": "Answers of 500 and above.",
    "failures": "Requests that were never answered whole.",
    "retries": "Requests that were tried again.",
}


def _releases(counts: Mapping[tuple[str, str, str], Count]) -> Iterator[str]:
    """Of workers that are gone too, so they never go backwards while the controller lives."""
    for name, meaning in _COUNTERS.items():
        full = f"pierhead_gateway_release_{name}_total"
        yield f"# HELP {full} {meaning}\n# TYPE {full} counter\n"
        for (service, pool, release), count in counts.items():
            labels = _labels({"service": service, "release": release, "proxy": pool})
            yield f"{full}{labels} {getattr(count, name)}\n"


def _routes(layout: Layout, routes: Iterable[Route]) -> Iterator[str]:
    full = "pierhead_gateway_route_info"
    yield f"# HELP {full} The pool that a route leads to.\n# TYPE {full} gauge\n"
    for route in routes:
        if layout_.leads(layout.structure, route):
            labels = {"route": route.name, "service": route.service, "proxy": layout_.pool_name(route)}
            yield f"{full}{_labels(labels)} 1\n"


def _endpoints(layout: Layout) -> Iterator[str]:
    full = "pierhead_gateway_endpoint_info"
    yield f"# HELP {full} Who sits in a server of HAProxy now.\n# TYPE {full} gauge\n"
    for pool in layout.pools.values():
        for server in pool.servers:
            for endpoint in server.endpoints[:1]:
                labels = {
                    "proxy": pool.name,
                    "server": server.name,
                    "service": pool.service,
                    "release": endpoint.release,
                    "id": endpoint.id,
                }
                yield f"{full}{_labels(labels)} 1\n"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
