"""The resolver: names are answered from what the catalog said last, whether or not it answers now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pierhead.kit import errors, files
from pierhead.kit.backoff import Backoff
from pierhead.kit.tasks import Signal
from pierhead.resolver import observe, plan, view
from pierhead.resolver.plan import Naming, Records
from pierhead.resolver.serve import Answering
from pierhead.resolver.view import View
from pierhead.wire.consul.client import Consul
from pierhead.wire.consul.tls import Tls
from pierhead.wire.dns import server
from pierhead.wire.dns.forward import Upstream

log = logging.getLogger(__name__)

_AT_LEAST = timedelta(milliseconds=20)
"""Changes that come together are looked at together."""
_LOOK_AGAIN = timedelta(minutes=5)
_SAVE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Options:
    catalog_url: str = "http://127.0.0.1:8500"
    token: str = ""
    tls: Tls | None = None
    naming: Naming = field(default_factory=Naming)
    host: str = "127.0.0.1"
    """Address to listen on, UDP and TCP."""
    port: int = 4453
    """0: any free one."""
    upstreams: tuple[Upstream, ...] = ()
    """Who is asked for names that are not ours; none: they are refused."""
    state: Path | None = None
    """The file that keeps what the catalog said last."""


@dataclass(slots=True)
class Following:
    """What the loop knows, for whoever wants to tell of it."""

    answering: Answering
    view: View
    is_live: bool = False
    """The catalog answered when it was asked last."""
    reason: str = "the catalog was not asked yet"
    problems: tuple[str, ...] = ()
    """Routes that are left out, each with its reason."""
    changed: Signal = field(default_factory=Signal)
    """Set when `view` differs: for the one who writes it to disk."""
    told: Signal = field(default_factory=Signal)
    """Set when anything else differs: for the one who reports it."""


@dataclass(frozen=True, slots=True)
class Serving:
    address: server.Address
    following: Following


async def run(options: Options) -> None:
    """Names are answered until this is cancelled. Raises: Unavailable (the port is taken)."""
    async with serving(options):
        await asyncio.Event().wait()


@asynccontextmanager
async def serving(options: Options) -> AsyncIterator[Serving]:
    """Names are answered at the address that is yielded. Raises: Unavailable (the port is taken)."""
    known = await asyncio.to_thread(saved, options.state)
    records = plan.records(known, options.naming) if known else Records(options.naming, View(), is_known=False)
    following = Following(Answering(records, options.upstreams), known or View())
    async with server.serving(options.host, options.port, following.answering.handle) as address:
        log.info("Listening.", extra={"address": f"{address.host}:{address.port}", "known": known is not None})
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(_follow(options, following))]
            if options.state:
                work.append(group.create_task(_keep(options.state, following)))
            try:
                yield Serving(address, following)
            finally:
                for task in work:
                    task.cancel()


def _save(state: Path, known: View) -> None:
    files.replace(state, view.text(known))


def saved(state: Path | None) -> View | None:
    """What was known when the resolver ran last; None where it never did."""
    if state is None or not state.exists():
        return None
    try:
        return view.read(state.read_text())
    except (OSError, ValueError) as error:
        log.warning("What was known last could not be read.", extra={"file": str(state), "reason": str(error)})
        return None


async def _follow(options: Options, following: Following) -> None:
    """The records are the catalog's, until cancelled. While it is away they stay what they were."""
    backoff = Backoff(limit=timedelta(seconds=5))
    while True:
        try:
            async with Consul(options.catalog_url, options.token, tls=options.tls) as client:
                await _in_step(client, options, following, backoff)
        except* errors.PierError as group:
            _away(following, str(_first(group)).splitlines()[0])
        except* Exception as group:  # an answer that nobody foresaw must not end the names
            log.exception("The catalog's answer was not understood.")
            _away(following, repr(_first(group)))
        await asyncio.sleep(backoff.failed())


async def _in_step(client: Consul, options: Options, following: Following, backoff: Backoff) -> None:
    """Every change in the catalog is in the records, until the catalog fails."""
    changed, seen, loop = Signal(), observe.Seen(), asyncio.get_running_loop()
    changed.set()
    async with asyncio.TaskGroup() as group:
        for ask in observe.questions(client):
            group.create_task(observe.watch(ask, changed))
        pause = _AT_LEAST.total_seconds()
        while True:
            await changed.wait(_LOOK_AGAIN)
            await asyncio.sleep(pause)
            started = loop.time()
            look = await observe.look(client, seen)
            _learn(look, options, following)
            backoff.succeeded()
            pause = max(_AT_LEAST.total_seconds(), 2 * (loop.time() - started))  # at most a third of the time


def _learn(look: observe.Look, options: Options, following: Following) -> None:
    """The records are those of `look`."""
    if not following.is_live:
        log.info("Follows the catalog.", extra={"url": options.catalog_url})
        following.told.set()
    following.is_live, following.reason = True, ""
    if look.problems != following.problems:
        following.problems = look.problems
        following.told.set()
        for problem in look.problems:
            log.warning("Left out a route that is not valid.", extra={"problem": problem})
    known = following.answering.records
    seen = view.trusted(following.view, look.view)
    if seen == following.view and known.is_known:
        return
    following.view = seen
    records = plan.records(seen, options.naming, known.serial + 1)
    following.answering.use(records)
    following.changed.set()
    count = {"hosts": len(records.hosts) + len(records.wildcards), "services": len(seen.services)}
    log.info("Learned what changed.", extra=count)


def _away(following: Following, reason: str) -> None:
    if following.is_live or following.reason != reason:
        following.told.set()
        log.warning("The catalog does not answer: names stay what they were.", extra={"reason": reason})
    following.is_live, following.reason = False, reason


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One of the errors of a group: they were all raised because the catalog failed."""
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


async def _keep(state: Path, following: Following) -> None:
    """What is known is on disk, at most a second late."""
    while True:
        await following.changed.wait()
        await asyncio.to_thread(_save, state, following.view)
        await asyncio.sleep(_SAVE.total_seconds())
