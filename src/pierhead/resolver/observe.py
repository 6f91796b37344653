"""What the catalog says now, and when to look again. Everything that this component knows of Consul is here.

Three questions wait for changes, whatever the number of services. A look then compares the checks of all services with
those of the look before, and reads only the services that differ.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pierhead.kit.tasks import Signal
from pierhead.model import route
from pierhead.model.instance import GATEWAY_SERVICE, Meta
from pierhead.model.route import Route
from pierhead.resolver.view import Instance, View
from pierhead.wire.consul import catalog, health, kv
from pierhead.wire.consul.client import Consul
from pierhead.wire.consul.records import CRITICAL, Check, Entry

_WAIT = timedelta(minutes=5)
_AGAIN = timedelta(seconds=1)
_AT_ONCE = 8

Signature = tuple[Any, ...]
Ask = Callable[[int], Awaitable[int]]


@dataclass(slots=True)
class Seen:
    """What the last look knew, to read only what changed."""

    index: int = 0
    signatures: dict[str, Signature] = field(default_factory=dict)
    services: dict[str, tuple[Instance, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    view: View
    problems: tuple[str, ...] = ()
    """Routes that are left out, each with its reason."""


def questions(client: Consul) -> Sequence[Ask]:
    """What to wait on: each takes the last index and returns the next one once something may have changed."""

    async def routes(index: int) -> int:
        return (await kv.get_tree(client, route.PREFIX, index=index, wait=_WAIT))[1]

    async def services(index: int) -> int:
        return (await catalog.services(client, index=index, wait=_WAIT))[1]

    async def checks(index: int) -> int:
        return (await health.state(client, index=index, wait=_WAIT))[1]

    return routes, services, checks


async def watch(ask: Ask, changed: Signal) -> None:
    """`changed` is set after every change, until cancelled. Raises: Unavailable, Denied."""
    index = 0
    while True:
        following = await ask(index)
        if not following:  # started over, or an answer that cannot be waited on
            await asyncio.sleep(_AGAIN.total_seconds())
        if following != index:
            changed.set()
        index = following


async def look(client: Consul, seen: Seen) -> Look:
    """The catalog as it is; `seen` is brought up to date. Raises: Unavailable, Denied."""
    pairs, _ = await kv.get_tree(client, route.PREFIX)
    names, index = await catalog.services(client)
    checks, _ = await health.state(client)
    nodes, _ = await catalog.nodes(client)
    signatures = _signatures(names, checks)
    changed = {name for name, signature in signatures.items() if seen.signatures.get(name) != signature}
    if index != seen.index and signatures == seen.signatures:
        changed = set(names)
    read = await _read(client, sorted(changed))
    seen.services = {name: read.get(name) or seen.services.get(name, ()) for name in names}
    seen.signatures, seen.index = signatures, index
    routes, problems = _routes(pairs)
    datacenter = next((node.datacenter for node in nodes if node.datacenter), "dc1")
    addresses = {node.name: node.address for node in nodes}
    return Look(View(routes, dict(seen.services), addresses, datacenter), tuple(problems))


async def _read(client: Consul, names: Sequence[str]) -> dict[str, tuple[Instance, ...]]:
    found: dict[str, tuple[Instance, ...]] = {}
    left = iter(names)

    async def reader() -> None:
        for name in left:
            entries, _ = await health.service(client, name)
            found[name] = tuple(_instance(entry) for entry in entries)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(_AT_ONCE, len(names))):
            group.create_task(reader())
    return found


def _signatures(names: Mapping[str, Sequence[str]], checks: Sequence[Check]) -> dict[str, Signature]:
    """What differs for a service when its instances may: its tags, its checks, and which nodes are down."""
    down = tuple(sorted({check.node for check in checks if not check.service_id and check.status == CRITICAL}))
    by_service: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
    for check in checks:
        if check.service_id:
            by_service[check.service].append((check.node, check.service_id, check.id, check.status))
    return {name: (tuple(sorted(tags)), tuple(sorted(by_service[name])), down) for name, tags in names.items()}


def _instance(entry: Entry) -> Instance:
    meta = entry.service.meta
    return Instance(
        id=entry.service.id,
        node=entry.node.name,
        address=_listening(entry) if entry.service.name == GATEWAY_SERVICE else entry.service.address,
        port=entry.service.port,
        tags=entry.service.tags,
        is_usable=all(check.status != CRITICAL for check in entry.checks),
        app=meta.get(Meta.APP, ""),
        environment=meta.get(Meta.ENVIRONMENT, ""),
    )


def _listening(entry: Entry) -> str:
    """Where a gateway takes requests; its admin address where it does so on every address."""
    host = entry.service.meta.get(Meta.HTTP, "").rpartition(":")[0].strip("[]")
    return entry.service.address if host in ("", "0.0.0.0", "::", "*") else host  # noqa: S104


def _routes(pairs: Sequence[kv.Pair]) -> tuple[dict[str, Route], list[str]]:
    found, problems = {}, []
    for pair in pairs:
        name = pair.key.removeprefix(route.PREFIX)
        try:
            found[name] = route.read(name, json.loads(pair.value))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return found, problems
