"""What the catalog says, in the model's words.

A failed answer raises and changes nothing: it is never read as "gone".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pierhead.model import instance, route
from pierhead.model.instance import Endpoint
from pierhead.model.route import Route
from pierhead.wire.consul import changes, health, kv, records
from pierhead.wire.consul.client import Consul

WAIT = timedelta(minutes=5)
ALL_ROUTES = route.PREFIX
"""Stands for all routes where services are listed."""


@dataclass(frozen=True, slots=True)
class Routes:
    routes: Mapping[str, Route]
    refused: Mapping[str, str]
    """Route → why its document cannot be read."""
    index: int


class RouteReader:
    """Reads routes, each document once: what did not change is the same object as before."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[int, bytes, Route | str]] = {}

    async def read(self, client: Consul, index: int) -> Routes:
        """Every route, once something under their prefix has gone beyond `index`. Raises: Unavailable and its kin."""
        pairs, following = await kv.get_tree(client, route.PREFIX, index=index, wait=WAIT)
        return self.take(pairs, following)

    def take(self, pairs: Iterable[kv.Pair], index: int) -> Routes:
        """Those that can be read, and for the others why not. Folders are skipped."""
        self._read = {name: self._one(name, pair) for name, pair in _named(pairs)}
        found = {name: value for name, (_, _, value) in self._read.items()}
        return Routes(
            {name: value for name, value in found.items() if isinstance(value, Route)},
            {name: value for name, value in found.items() if isinstance(value, str)},
            index,
        )

    def _one(self, name: str, pair: kv.Pair) -> tuple[int, bytes, Route | str]:
        before = self._read.get(name)
        if before and before[:2] == (pair.modify_index, pair.value):
            return before
        try:
            return pair.modify_index, pair.value, route.read(name, json.loads(pair.value))
        except ValueError as error:
            return pair.modify_index, pair.value, str(error)


@dataclass(frozen=True, slots=True)
class Seen:
    endpoints: tuple[Endpoint, ...]
    index: int
    is_checked: bool
    """Every instance has a check, so that whoever watches checks hears of it."""


async def endpoints(client: Consul, service: str) -> Seen:
    """The endpoints of one service now, in the order of their ids."""
    entries, index = await health.service(client, service)
    return _seen(entries, index)


async def several(client: Consul, services: Sequence[str]) -> dict[str, Seen] | None:
    """The same of several services by one request. None: this catalog answers for one at a time, as a real Consul."""
    answer = await changes.now(client, services)
    if answer is None:
        return None
    entries, index = answer
    return {service: _seen(entries[service], index) for service in services}


def _seen(entries: Sequence[records.Entry], index: int) -> Seen:
    found = tuple(sorted((read_entry(entry) for entry in entries), key=lambda endpoint: endpoint.id))
    return Seen(found, index, all(any(check.service_id for check in entry.checks) for entry in entries))


def _named(pairs: Iterable[kv.Pair]) -> Iterator[tuple[str, kv.Pair]]:
    for pair in pairs:
        name = pair.key.removeprefix(route.PREFIX)
        if name and not name.endswith("/"):
            yield name, pair


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
        weight=instance.weight(entry.service.meta, entry.service.weight),
    )
