"""The gateway's tasks: two watch the catalog, one drives HAProxy, the others tell of it.

Losing the catalog is decided here and nowhere else: the last known state goes on being served.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from pierhead.gateway import announce, brake, haproxy, observe, status
from pierhead.gateway.apply import Proxy
from pierhead.gateway.known import Known
from pierhead.gateway.options import Options
from pierhead.kit import clock, errors, process
from pierhead.kit.backoff import Backoff
from pierhead.kit.tasks import Signal
from pierhead.model.instance import Endpoint
from pierhead.wire.consul.client import Consul

log = logging.getLogger(__name__)

PARALLEL = 4
"""Services that are fetched at once; with the two watches and the registration all that ever connects."""
RESYNC = timedelta(seconds=60)
"""How often every service is fetched although nothing told of a change: instances without checks tell of none."""
FIRST_ANSWER = timedelta(seconds=10)
"""How long a HAProxy that runs is left alone at the start while the catalog does not answer."""
FIRST_GUESS = timedelta(seconds=1)
"""How long the start of HAProxy waits for the catalog."""
HELD_LOOK = timedelta(seconds=1)
"""How often the routes are asked for while it is not believed that all of them are gone."""
WITHDRAWAL = timedelta(seconds=2)
LOOK_AGAIN = timedelta(seconds=30)
"""How often what HAProxy has is read although nothing changed."""


async def run(options: Options) -> None:
    """HAProxy serves what the catalog says, until cancelled; after that too where `options.keep` says so.

    Raises: Conflict (a port is taken), Invalid (unusable options).
    """
    proxy, known = Proxy(options), Known()
    known.read(options.kept)
    runner = await status.serve(proxy, known)
    try:
        async with (
            Consul(options.catalog_url, options.catalog_token, connections=PARALLEL + 4) as client,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(_watch_routes(client, known))
            group.create_task(_watch_services(client, known))
            group.create_task(_drive(proxy, known))
            group.create_task(_guard(proxy, known.changed))
            group.create_task(_again(lambda: announce.keep(client, options), "The catalog does not list this gateway."))
            group.create_task(known.keep_saved(options.kept))
            group.create_task(_withdraw(client, options))
    finally:
        await runner.cleanup()
        if not options.keep:
            await haproxy.stop(options.data)


async def _withdraw(client: Consul, options: Options) -> None:
    """Where HAProxy ends with the controller, nobody waits for this gateway once it was cancelled."""
    try:
        await asyncio.Event().wait()
    finally:
        if not options.keep:
            with contextlib.suppress(errors.PierError, TimeoutError):
                async with asyncio.timeout(WITHDRAWAL.total_seconds()):
                    await announce.withdraw(client, options)


async def stop_haproxy(data: Path) -> None:
    """No HAProxy of the gateway in `data` runs any more; what it was doing had ten seconds to finish."""
    await haproxy.stop(data)


async def _drive(proxy: Proxy, known: Known) -> None:
    """HAProxy follows what is known, one change at a time; changes that come meanwhile are one."""
    await _until_usable(known, FIRST_ANSWER if haproxy.find(proxy.frame) else FIRST_GUESS)
    backoff = Backoff(limit=timedelta(seconds=10))
    known.changed.set()
    while True:
        if not await known.changed.wait(LOOK_AGAIN):
            proxy.forget()
        try:
            await proxy.follow(known.snapshot)
        except errors.PierError as error:
            if proxy.failure != error.message:
                log.warning("HAProxy does not follow the catalog.", extra={"reason": error.message})
            proxy.failure = error.message
            proxy.forget()
            await asyncio.sleep(backoff.failed())
            known.changed.set()
            continue
        proxy.failure = ""
        backoff.succeeded()


async def _until_usable(known: Known, limit: timedelta) -> None:
    """The catalog has told everything, or did not within `limit` and what was saved has to do.

    Until then a HAProxy that runs is left alone: it serves what is newer than what was saved.
    """
    end = clock.now() + limit
    while not known.is_complete and not (known.is_known and clock.now() > end):
        await known.changed.wait(timedelta(milliseconds=200))


async def _guard(proxy: Proxy, changed: Signal) -> None:
    """When HAProxy ends it is started again, more slowly each time it does not live long."""
    backoff = Backoff(first=timedelta(milliseconds=20), limit=timedelta(seconds=10))
    while True:
        await proxy.started.wait()
        running, begin = proxy.process, clock.now()
        if running is not None:
            await process.exited(running)
            log.warning("HAProxy ended and is started again.", extra={"pid": running.pid})
        if proxy.process is running:
            proxy.lost()
        if clock.now() - begin > timedelta(seconds=10):
            backoff.succeeded()
        await asyncio.sleep(backoff.failed())
        changed.set()


async def _watch_routes(client: Consul, known: Known) -> None:
    index = 0

    async def once() -> None:
        nonlocal index
        asked, index = index, 0  # whoever answers after a failure may have begun anew, and is asked without an index
        found = await observe.routes(client, asked)
        _see(known, asked, found.index)
        if known.in_doubt and not found.routes and known.snapshot.routes:
            if not known.held:
                log.warning("All routes vanished right after an outage of the catalog; they are kept for now.")
            known.hold(observe.ALL_ROUTES, LOOK_AGAIN)
            await asyncio.sleep(HELD_LOOK.total_seconds())
            return
        index = found.index
        known.held.pop(observe.ALL_ROUTES, None)
        known.put_routes(found.routes, found.refused, found.index)

    await _repeat(once, known)


async def _watch_services(client: Consul, known: Known) -> None:
    """Two things make a service be fetched: a check of it changed, or a route began to lead to it."""
    async with asyncio.TaskGroup() as group:
        stale = _Stale(known)
        group.create_task(_watch_checks(client, known, stale))
        group.create_task(_follow_routes(known, stale))
        group.create_task(_resync(known, stale))
        group.create_task(_fetch(client, known, stale))


class _Stale:
    """Services that have to be fetched."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._names: set[str] = set()
        self.signal = Signal()

    def add(self, names: set[str] | frozenset[str]) -> None:
        if found := names & self._known.snapshot.services:
            self._names |= found
            self.signal.set()

    def take(self, count: int) -> set[str]:
        """Up to `count` of them, which are no longer stale."""
        found = {self._names.pop() for _ in range(min(count, len(self._names)))}
        if self._names:
            self.signal.set()
        return found


async def _watch_checks(client: Consul, known: Known, stale: _Stale) -> None:
    index = 0
    seen: observe.Marks = {}

    async def once() -> None:
        nonlocal index, seen
        asked, index = index, 0
        found, following = await observe.marks(client, asked)
        _see(known, asked, following)
        stale.add(observe.changed(seen, found))
        index, seen = following, found

    await _repeat(once, known)


async def _follow_routes(known: Known, stale: _Stale) -> None:
    while True:
        stale.add(known.snapshot.services - known.snapshot.endpoints.keys())
        await known.rerouted.wait(RESYNC)


async def _resync(known: Known, stale: _Stale) -> None:
    while True:
        stale.add(known.snapshot.services)
        await asyncio.sleep(RESYNC.total_seconds())


async def _fetch(client: Consul, known: Known, stale: _Stale) -> None:
    pending: set[str] = set()

    async def once() -> None:
        if not pending:
            await stale.signal.wait()
            pending.update(stale.take(256))
        await _fetch_all(client, known, stale, pending)
        pending.clear()

    await _repeat(once, known)


async def _fetch_all(client: Consul, known: Known, stale: _Stale, names: set[str]) -> None:
    found: dict[str, tuple[Endpoint, ...]] = {}
    indexes: list[int] = []
    gate = asyncio.Semaphore(PARALLEL)

    async def one(name: str) -> None:
        async with gate:
            endpoints, index = await observe.endpoints(client, name)
        indexes.append(index)
        if _believe(known, name, endpoints):
            found[name] = endpoints

    try:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name))
    except* errors.PierError as failures:
        raise failures.exceptions[0] from None
    finally:
        fresh = {name: value for name, value in found.items() if known.snapshot.endpoints.get(name) != value}
        if fresh:
            known.put_endpoints(fresh, max(indexes))
        if not known.is_complete:
            known.fetched(found)


def _believe(known: Known, service: str, endpoints: tuple[Endpoint, ...]) -> bool:
    """False while a mass removal is held back; the resync looks again."""
    before = known.snapshot.endpoints.get(service, ())
    if known.in_doubt and brake.is_doubtful(before, endpoints):
        known.hold(service, RESYNC)
        return False
    known.held.pop(service, None)
    return True


def _see(known: Known, asked: int, following: int) -> None:
    """An answer came. An index that fell back belongs to a catalog that began anew."""
    if asked and not following:
        known.doubt()
    known.put_state(is_live=True)


async def _repeat(once: Callable[[], Awaitable[None]], known: Known) -> None:
    backoff = Backoff(limit=timedelta(seconds=5))
    while True:
        try:
            await once()
        except errors.PierError as error:
            known.put_state(is_live=False)
            log.debug("The catalog did not answer.", extra={"reason": error.message})
            await asyncio.sleep(backoff.failed())
        else:
            backoff.succeeded()


async def _again(keep: Callable[[], Awaitable[None]], sentence: str) -> None:
    backoff = Backoff(limit=timedelta(seconds=3))
    while True:
        try:
            await keep()
        except errors.PierError as error:
            log.debug(sentence, extra={"reason": error.message})
            await asyncio.sleep(backoff.failed())
