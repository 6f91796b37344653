"""The tasks that keep what is known as the catalog says, over a constant number of connections.

Losing the catalog is decided here and nowhere else: the last known state goes on being served.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta

from pierhead.gateway import brake, observe
from pierhead.gateway.known import Known
from pierhead.kit import errors
from pierhead.kit.backoff import Backoff
from pierhead.kit.tasks import Signal
from pierhead.model.instance import Endpoint
from pierhead.wire.consul import catalog, changes
from pierhead.wire.consul.client import Consul

log = logging.getLogger(__name__)

PARALLEL = 4
"""Requests for services at once."""
TOGETHER = 8
"""Services that one request asks for, where the catalog answers several: few, so that it is not kept from others."""
CONNECTIONS = PARALLEL + 5
"""All that ever connect: with those, four watches and the registration."""
PATIENCE = timedelta(seconds=15)
"""With an answer, which may be large while the machine is busy."""
BATCH = 256
SLOW_RESYNC = timedelta(minutes=10)
"""How often every service is fetched although nothing told of a change."""
RESYNC = timedelta(seconds=60)
"""The same for services with instances that have no check: a real Consul does not tell of their changes."""
HELD_LOOK = timedelta(seconds=1)
"""How often the routes are asked for while it is not believed that all of them are gone."""
ROUTES_HELD = timedelta(seconds=30)
DISTRUST = timedelta(seconds=10)
"""How long it is not believed that most of everything vanished, when nothing was wrong with the catalog."""


async def routes(client: Consul, known: Known) -> None:
    """The routes are known as the catalog has them, until cancelled."""
    index = 0
    reader = observe.RouteReader()

    async def once() -> None:
        nonlocal index
        asked, index = index, 0  # whoever answers after a failure may have begun anew, and is asked without an index
        found = await reader.read(client, asked)
        _see(known, asked, found.index)
        if known.in_doubt and not found.routes and known.snapshot.routes:
            if not known.held:
                log.warning("All routes vanished right after an outage of the catalog; they are kept for now.")
            known.hold(observe.ALL_ROUTES, ROUTES_HELD)
            await asyncio.sleep(HELD_LOOK.total_seconds())
            return
        index = found.index
        known.held.pop(observe.ALL_ROUTES, None)
        known.put_routes(found.routes, found.refused, found.index)

    await _repeat(once, known)


async def services(client: Consul, known: Known) -> None:
    """The endpoints of every routed service are known as the catalog has them, until cancelled.

    A service is fetched when the catalog tells of a change, when a route begins to lead to it, and now and then.
    """
    async with asyncio.TaskGroup() as group:
        stale = _Stale()
        group.create_task(_watch(client, known, stale))
        group.create_task(_follow_routes(known, stale))
        group.create_task(_resync(client, known, stale))
        group.create_task(_fetch(client, known, stale))


class _Stale:
    """Services that have to be fetched."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self.signal = Signal()
        self.unchecked: set[str] = set()
        """Services some instance of which has no check."""
        self._spelled: dict[str, str] = {}
        self.together = TOGETHER
        """How many are asked for by one request: 1 once the catalog turned out to be one that answers no more."""

    def add(self, names: Iterable[str]) -> None:
        for name in names:
            self._spelled.setdefault(name.lower(), name)
            self._names[self._spelled[name.lower()]] = None
        if self._names:
            self.signal.set()

    def spell(self, name: str) -> None:
        """A route writes the name so; the catalog does not tell small letters from capitals."""
        self._spelled[name.lower()] = name

    def take(self, count: int) -> list[str]:
        """Up to `count` of them, the longest stale first, which are no longer stale."""
        found = list(self._names)[:count]
        for name in found:
            del self._names[name]
        if self._names:
            self.signal.set()
        return found


async def _watch(client: Consul, known: Known, stale: _Stale) -> None:
    """By the catalog's own list of changes while it has one, or else by comparing all checks."""
    await _watch_changes(client, known, stale)
    log.info("The catalog has no list of changes; all of its checks are compared.")
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch_checks(client, known, stale))
        group.create_task(_watch_names(client, known, stale))


async def _watch_changes(client: Consul, known: Known, stale: _Stale) -> None:
    """Until the catalog has no such list: it is a real Consul, or one has taken its place."""
    index, has_list = 0, True

    async def once() -> None:
        nonlocal index, has_list
        asked, index = index, 0
        found = await changes.since(client, asked, wait=observe.WAIT)
        if found is None:
            has_list = False
            return
        _see(known, asked, found.index)
        stale.add(found.services)
        if not found.is_complete:
            stale.add(await _all_names(client, known))
        index = found.index

    backoff = Backoff(limit=timedelta(seconds=5))
    while has_list:
        await _attempt(once, known, backoff)


async def _watch_checks(client: Consul, known: Known, stale: _Stale) -> None:
    index, seen = 0, b""

    async def once() -> None:
        nonlocal index, seen
        asked, index = index, 0
        found, following = await changes.checks(client, asked, wait=observe.WAIT)
        _see(known, asked, following)
        stale.add(await asyncio.to_thread(changes.between, seen, found))
        index, seen = following, found

    await _repeat(once, known)


async def _watch_names(client: Consul, known: Known, stale: _Stale) -> None:
    """Services without checks are told of by nothing but the list of all services, which wakes for each of them."""
    index, seen = 0, frozenset[str]()

    async def once() -> None:
        nonlocal index, seen
        asked, index = index, 0
        found, following = await catalog.services(client, index=asked, wait=observe.WAIT)
        _see(known, asked, following)
        stale.add({*(found.keys() ^ seen), *stale.unchecked})
        index, seen = following, frozenset(found)

    await _repeat(once, known)


async def _all_names(client: Consul, known: Known) -> set[str]:
    """Those of the catalog, which may ask for routes, and those that routes lead to."""
    found, _ = await catalog.services(client)
    known.listed(found)
    return {*found, *known.services}


async def _follow_routes(known: Known, stale: _Stale) -> None:
    while True:
        for name in known.services:
            stale.spell(name)
        stale.add(known.services - known.snapshot.endpoints.keys())
        await known.rerouted.wait(RESYNC)


async def _resync(client: Consul, known: Known, stale: _Stale) -> None:
    async def once() -> None:
        stale.add(await _all_names(client, known))

    backoff = Backoff(limit=timedelta(seconds=5))
    while True:
        await _attempt(once, known, backoff)
        for tick in range(SLOW_RESYNC // DISTRUST):
            stale.add(known.held.keys() - {observe.ALL_ROUTES})
            if tick % (RESYNC // DISTRUST) == 0:
                stale.add(stale.unchecked)
                known.end_grace()
            await asyncio.sleep(DISTRUST.total_seconds())


async def _fetch(client: Consul, known: Known, stale: _Stale) -> None:
    async def once() -> None:
        await stale.signal.wait()
        await _fetch_all(client, known, stale, stale.take(BATCH))

    await _repeat(once, known)


async def _fetch_all(client: Consul, known: Known, stale: _Stale, names: Sequence[str]) -> None:
    """What the catalog says of these services is known. Those that it did not tell are still stale.

    Raises: what the first failure was.
    """
    found: dict[str, observe.Seen] = {}
    gate = asyncio.Semaphore(PARALLEL)

    async def some(part: Sequence[str]) -> None:
        async with gate:
            found.update(await _ask(client, stale, part))
        known.answered()

    try:
        async with asyncio.TaskGroup() as group:
            for begin in range(0, len(names), stale.together):
                group.create_task(some(names[begin : begin + stale.together]))
    except* errors.PierError as failures:
        raise failures.exceptions[0] from None
    finally:
        for name, seen in found.items():
            (stale.unchecked.discard if seen.is_checked else stale.unchecked.add)(name)
        stale.add(name for name in names if name not in found)
        _take_in(known, found)


async def _ask(client: Consul, stale: _Stale, names: Sequence[str]) -> dict[str, observe.Seen]:
    """What the catalog says of each, by one request if it can, or else by one after the other."""
    several = await observe.several(client, names) if len(names) > 1 and stale.together > 1 else None
    if several is not None:
        return several
    if len(names) > 1:
        stale.together = 1
    return {name: await observe.endpoints(client, name) for name in names}


def _take_in(known: Known, seen: dict[str, observe.Seen]) -> None:
    """What was fetched is known, less what is not believed yet."""
    found = {name: one.endpoints for name, one in seen.items()}
    believed = {name: endpoints for name, endpoints in found.items() if _believe(known, name, endpoints)}
    before = known.snapshot.endpoints
    if not known.in_doubt and brake.is_estate_doubtful(before, believed):
        believed = {name: value for name, value in believed.items() if _believe_late(known, name, value)}
    fresh = {name: value for name, value in believed.items() if before.get(name) != value}
    if fresh:
        known.put_endpoints(fresh, max(one.index for one in seen.values()))
    if not known.is_complete:
        known.fetched(believed)


def _believe(known: Known, service: str, endpoints: tuple[Endpoint, ...]) -> bool:
    """False while a mass removal is held back; the resync looks again."""
    before = known.snapshot.endpoints.get(service, ())
    if known.in_doubt and brake.is_doubtful(before, endpoints):
        known.hold(service, RESYNC)
        return False
    if service in known.held and not known.is_over(service):
        return not brake.is_doubtful(before, endpoints)
    known.held.pop(service, None)
    return True


def _believe_late(known: Known, service: str, endpoints: tuple[Endpoint, ...]) -> bool:
    if not brake.is_doubtful(known.snapshot.endpoints.get(service, ()), endpoints):
        return True
    log.warning("Most of all endpoints vanished at once; they are kept for now.", extra={"service": service})
    known.hold(service, DISTRUST)
    return False


def _see(known: Known, asked: int, following: int) -> None:
    """An answer came. An index that fell back belongs to a catalog that began anew."""
    if asked and not following:
        known.doubt()
    known.put_state(is_live=True)


async def _repeat(once: Callable[[], Awaitable[None]], known: Known) -> None:
    backoff = Backoff(limit=timedelta(seconds=5))
    while True:
        await _attempt(once, known, backoff)


async def _attempt(once: Callable[[], Awaitable[None]], known: Known, backoff: Backoff) -> None:
    try:
        await once()
    except errors.PierError as error:
        known.put_state(is_live=False)
        log.debug("The catalog did not answer.", extra={"reason": error.message})
        await asyncio.sleep(backoff.failed())
    else:
        backoff.succeeded()
