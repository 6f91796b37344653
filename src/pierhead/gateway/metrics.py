"""What Prometheus reads: HAProxy's own numbers, whose they are, and those of the controller. Pure.

HAProxy counts by backend and server. A backend may be a spare one that a service moved into, so its name is replaced by
the pool's; `pierhead_gateway_endpoint_info` says which service, release and endpoint sits in which server now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pierhead.gateway.layout import Layout

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


def text(haproxy: str, numbers: Numbers, layout: Layout, homes: Mapping[str, str]) -> str:
    """`haproxy`: what its exporter says. `homes`: pool → backend, for pools that have not the one of their name."""
    pools = {backend: pool for pool, backend in homes.items()}
    named = _PROXY.sub(lambda found: f'proxy="{pools.get(found[1], found[1])}"', haproxy)
    return "".join((named, *_controller(numbers), *_endpoints(layout)))


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
                told = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
                yield f"{full}{{{told}}} 1\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
