"""The gateway's tasks: some follow the catalog, one drives HAProxy, the others tell of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from pierhead.gateway import announce, follow, gather, haproxy, status
from pierhead.gateway.access import AccessLog
from pierhead.gateway.apply import Proxy
from pierhead.gateway.known import Known
from pierhead.gateway.options import Options
from pierhead.gateway.quarantine import Quarantine
from pierhead.gateway.snapshot import Snapshot
from pierhead.kit import clock, errors, memory, process
from pierhead.kit.backoff import Backoff
from pierhead.kit.tasks import Signal
from pierhead.wire.consul.client import Consul

log = logging.getLogger(__name__)

FIRST_ANSWER = timedelta(seconds=10)
"""How long a HAProxy that runs is left alone at the start while the catalog does not answer."""
FIRST_GUESS = timedelta(seconds=1)
"""How long the start of HAProxy waits for the catalog where the last known state is on disk."""
WITHDRAWAL = timedelta(seconds=2)
LOOK = timedelta(seconds=1)
"""How often a part of what HAProxy has is read although nothing changed, and a reload that had to wait is tried."""


async def run(options: Options) -> None:
    """HAProxy serves what the catalog says, until cancelled; after that too where `options.keep` says so.

    Raises: Conflict (a port is taken), Invalid (unusable options).
    """
    proxy, known, stock = Proxy(options), Known(), gather.Stock(options)
    known.read(options.kept)
    await stock.put(known)
    runner = await status.serve(proxy, known)
    try:
        async with (
            Consul(
                options.catalog_url,
                options.catalog_token,
                tls=options.catalog_tls,
                timeout=follow.PATIENCE,
                connections=follow.CONNECTIONS,
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(follow.routes(client, known))
            group.create_task(follow.services(client, known))
            group.create_task(stock.watch(client, known))
            group.create_task(stock.keep(known))
            group.create_task(_drive(proxy, known))
            group.create_task(_guard(proxy, known.changed))
            group.create_task(_again(lambda: announce.keep(client, options), "The catalog does not list this gateway."))
            group.create_task(known.keep_saved(options.kept))
            group.create_task(_withdraw(client, options))
            if proxy.access:
                group.create_task(_log_requests(proxy, proxy.access))
    finally:
        await runner.cleanup()
        if not options.keep:
            await haproxy.stop(options.data)


async def _log_requests(proxy: Proxy, access: AccessLog) -> None:
    def keep() -> Awaitable[None]:
        return access.keep(proxy.frame.access, lambda: (proxy.aim, dict(proxy.homes.of)))

    await _again(keep, "Requests are not logged.")


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
    with memory.filling():
        await _until_usable(known, is_running=haproxy.find(proxy.frame) is not None)
    backoff, quarantine = Backoff(limit=timedelta(seconds=10)), Quarantine(proxy.options, proxy.frame)
    known.changed.set()
    is_overtaken = False

    async def newer() -> Snapshot:
        nonlocal is_overtaken
        is_overtaken = True
        await known.changed.wait()
        return quarantine.passed(known.snapshot)

    while True:
        is_changed = await known.changed.wait(LOOK)
        try:
            if not is_changed:
                await proxy.look()
            await proxy.follow(quarantine.passed(known.snapshot), newer, is_partial=known.is_filling)
        except errors.PierError as error:
            if isinstance(error, errors.Invalid) and await quarantine.search(known.snapshot):
                known.changed.set()
                continue
            if proxy.failure != error.message:
                log.warning("HAProxy does not follow the catalog.", extra={"reason": error.message})
            proxy.failure = error.message
            proxy.forget()
            await asyncio.sleep(backoff.failed())
            known.changed.set()
            continue
        proxy.failure = ""
        backoff.succeeded()
        if is_overtaken:  # what came during a reload may need more than was done for it, or came too late
            is_overtaken = False
            known.changed.set()


async def _until_usable(known: Known, *, is_running: bool) -> None:
    """The catalog has told everything, or what it has told, or what was saved, has to do.

    Until then a HAProxy that runs is left alone: it serves what is newer than what was saved. Without one what was
    saved is served soon. Where nothing was, HAProxy is started when the catalog has come to an end: what comes in parts
    after the start costs reloads.
    """
    was_known, end = known.is_known, clock.now() + (FIRST_ANSWER if is_running else FIRST_GUESS)
    while not known.is_complete:
        goes_on = known.is_filling and (is_running or not was_known)
        if known.is_known and not goes_on and clock.now() > end:
            return
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


async def _again(keep: Callable[[], Awaitable[None]], sentence: str) -> None:
    backoff = Backoff(limit=timedelta(seconds=3))
    while True:
        try:
            await keep()
        except errors.PierError as error:
            log.debug(sentence, extra={"reason": error.message})
            await asyncio.sleep(backoff.failed())
