"""What the catalog says, in the model's words. Two blocking queries, whatever the number of services.

A failed answer raises and changes nothing: it is never read as "gone".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from pierhead.model import instance, route
from pierhead.model.instance import Endpoint
from pierhead.model.route import Route
from pierhead.wire.consul import health, kv, records
from pierhead.wire.consul.client import Consul

WAIT = timedelta(minutes=5)
ALL_ROUTES = route.PREFIX
"""Stands for all routes where services are listed."""
Marks = Mapping[str, tuple[tuple[str, ...], ...]]
"""Service → what is comparable of its checks."""


@dataclass(frozen=True, slots=True)
class Routes:
    routes: Mapping[str, Route]
    refused: Mapping[str, str]
    """Route → why its document cannot be read."""
    index: int


async def routes(client: Consul, index: int) -> Routes:
    """Every route, once something under their prefix has gone beyond `index`. Raises: Unavailable and its kin."""
    pairs, following = await kv.get_tree(client, route.PREFIX, index=index, wait=WAIT)
    return Routes(*read_routes({pair.key: pair.value for pair in pairs}), following)


async def marks(client: Consul, index: int) -> tuple[Marks, int]:
    """What all checks say, by service, once one of them has gone beyond `index`. Node checks are under ``""``."""
    checks, following = await health.state(client, index=index, wait=WAIT)
    return by_service(checks), following


async def endpoints(client: Consul, service: str) -> tuple[tuple[Endpoint, ...], int]:
    """The endpoints of one service now, in the order of their ids."""
    entries, index = await health.service(client, service)
    return tuple(sorted((read_entry(entry) for entry in entries), key=lambda endpoint: endpoint.id)), index


def read_routes(values: Mapping[str, bytes]) -> tuple[dict[str, Route], dict[str, str]]:
    """Those that can be read, and for the others why not. Keys as in the store; folders are skipped."""
    found: dict[str, Route] = {}
    refused: dict[str, str] = {}
    for key, value in values.items():
        name = key.removeprefix(route.PREFIX)
        if not name or name.endswith("/"):
            continue
        try:
            found[name] = route.read(name, json.loads(value))
        except ValueError as error:
            refused[name] = str(error)
    return found, refused


def by_service(checks: Iterable[records.Check]) -> Marks:
    """Only what can make a difference to a gateway: the text of a check's last output does not."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for check in checks:
        mark = (check.node, check.service_id, check.id, check.status, str(check.modify_index))
        found.setdefault(check.service, []).append(mark)
    return {service: tuple(sorted(marks)) for service, marks in found.items()}


def changed(before: Marks, now: Marks) -> set[str]:
    """The services whose checks differ. A node's check concerns everyone: all of `now`."""
    if before.get("") != now.get(""):
        return {*before, *now}
    return {service for service in {*before, *now} if before.get(service) != now.get(service)}


def read_entry(entry: records.Entry) -> Endpoint:
    statuses = {check.id: check.status for check in entry.checks}
    worst = next((check.output for check in entry.checks if check.status == records.CRITICAL), "")
    return Endpoint(
        id=entry.service.id,
        service=entry.service.name,
        address=entry.address,
        port=entry.service.port,
        state=instance.state(statuses, entry.service.id),
        meta=entry.service.meta,
        output=worst,
    )
