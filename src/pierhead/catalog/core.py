"""The order in which things happen: a request changes the state, the change reaches the disk, then it is told.

Nobody hears of anything that is not on disk, neither the writer nor a reader nor a watcher. Runs on one event loop
and never blocks it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from pierhead.catalog import reply
from pierhead.catalog.durable import Durable
from pierhead.catalog.endpoints import routes
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.ledger import Batch
from pierhead.catalog.memory import Settled
from pierhead.catalog.reply import Outcome, Rejected, Reply, Watch
from pierhead.catalog.request import Request
from pierhead.catalog.tokens import Tokens
from pierhead.catalog.watchers import Watchers

log = logging.getLogger(__name__)

CACHE_BYTES = 64 << 20
"""Encoded answers that are kept, the least recently used leaving first."""

Deliver = Callable[[Reply], None]
Cancel = Callable[[], None]
Follow = Callable[[Batch], None]

_NOT_WAITED_FOR = {"index", "wait", "stale", "consistent", "cached", "token"}


class Core:
    """Answers requests. `follow` hears of every batch of changes; `failed` is set when the disk refuses one."""

    def __init__(self, context: Context, durable: Durable, tokens: Tokens) -> None:
        self.context = context
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.watchers = Watchers()
        self._durable = durable
        self._tokens = tokens
        self.follow: Follow | None = None
        self._written = context.state.ledger.index
        self._topics: deque[tuple[int, set[str]]] = deque()
        self._held: list[tuple[int, Callable[[], None]]] = []
        self._cache: OrderedDict[tuple[object, ...], tuple[int, Reply]] = OrderedDict()
        self._cached_bytes = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._is_flush_due = False
        self._loop = asyncio.get_running_loop()
        self._settled_rows = Settled(self._loop.time())

    def answer(self, request: Request, deliver: Deliver) -> Cancel | None:
        """`deliver` is called once with the reply, now or later; later it can be cancelled by what is returned."""
        outcome = self._ask(request)
        self.settle()
        if isinstance(outcome, Watch):
            return _Reader(self, request, deliver).start(outcome)
        self.when_written(self.context.state.ledger.index, partial(deliver, outcome))
        return None

    def settle(self) -> None:
        """What was changed has its index, and is soon on its way to the disk with whatever else is changed by then."""
        index = self.context.state.ledger.index
        self.context.state.close()
        if index != self.context.state.ledger.index and not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def report(self, key: tuple[str, ...], status: str, output: str) -> None:
        """The check, if it is still there, has that status and output."""
        if check := self.context.state.check(*key):
            self.context.upkeep.report(check, status, output, self._loop.time())
            self.settle()

    def when_written(self, index: int, act: Callable[[], None]) -> None:
        """`act` happens once everything up to `index` is on disk: now, if it is."""
        if index <= self._written:
            act()
        else:
            self._held.append((index, act))

    def written(self, index: int, error: BaseException | None) -> None:
        """Called by the writer's thread: everything up to `index` is on disk, or nothing will be any more."""
        self._loop.call_soon_threadsafe(self._settled, index, error)

    def read(self, request: Request) -> Outcome:
        """The outcome of a request that was asked before."""
        return self._ask(request)

    def render(self, request: Request, watch: Watch) -> Reply:
        """The watch's answer with its index, from the cache when it is there."""
        answer = self._rendered(request, watch)
        special = [header for name, header in _HEADERS_OF.items() if request.has(name)]
        if not special:
            return answer
        replaced = {name for headers in special for name, _ in headers}
        kept = [header for header in answer.headers if header[0] not in replaced]
        return replace(answer, headers=(*kept, *(header for headers in special for header in headers)))

    def _rendered(self, request: Request, watch: Watch) -> Reply:
        if not watch.is_cached:
            return _with_index(watch.render(), watch.index)
        key = (self.context.access.name, *_cache_key(request))
        known = self._cache.get(key)
        if known and known[0] == watch.index:
            self._cache.move_to_end(key)
            return known[1]
        answer = _with_index(watch.render(), watch.index)
        self._keep(key, watch.index, answer)
        return answer

    def close(self) -> None:
        if self._alarm:
            self._alarm.cancel()

    def _flush(self) -> None:
        """All changes are on their way to the disk, with all that follows from them."""
        self._is_flush_due = False
        state, upkeep = self.context.state, self.context.upkeep
        while batch := state.ledger.take():
            upkeep.follow(batch.rows, self._loop.time())
            state.close()
            if self.follow:
                self.follow(batch)
            self._topics.append((batch.index, batch.topics))
            self._durable.write(batch)
            self._settled_rows.changed(len(batch.rows), len(state), self._loop.time())
        self._set_alarm()

    def _ask(self, request: Request) -> Outcome:
        self.context.now = self._loop.time()
        try:
            self.context.access = self._tokens.access(request)
            return routes.answer(self.context, request)
        except Rejected as error:
            self.context.state.take_back()
            return reply.rejection(error)
        except BaseException:
            self.context.state.take_back()
            raise

    def _keep(self, key: tuple[object, ...], index: int, answer: Reply) -> None:
        old = self._cache.pop(key, None)
        self._cached_bytes += len(answer.body) - (len(old[1].body) if old else 0)
        self._cache[key] = (index, answer)
        while self._cached_bytes > CACHE_BYTES:
            _, (_, dropped) = self._cache.popitem(last=False)
            self._cached_bytes -= len(dropped.body)

    def _settled(self, index: int, error: BaseException | None) -> None:
        if error:
            self._fail(index, error)
        else:
            self._release(index)

    def _release(self, index: int) -> None:
        self._written = index
        topics: set[str] = set()
        while self._topics and self._topics[0][0] <= index:
            topics |= self._topics.popleft()[1]
        self.watchers.wake(topics)
        held, self._held = self._held, []
        for needed, act in held:
            self.when_written(needed, act)

    def _fail(self, index: int, error: BaseException) -> None:
        log.error("A change could not be written to the disk; the catalog stops.", extra={"index": index})
        if not self.failed.done():
            self.failed.set_exception(error)

    def _set_alarm(self) -> None:
        following = self.context.upkeep.next
        if following is None or (self._alarm and self._alarm.when() <= following and not self._alarm.cancelled()):
            return
        if self._alarm:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(following, self._pass_time)

    def _pass_time(self) -> None:
        self._alarm = None
        self.context.upkeep.pass_time(self._loop.time())
        self.settle()
        self._set_alarm()  # what was due may have been moved, and then nothing is written


class _Reader:
    """One read: it waits for a change when asked to, and for the disk when what it saw is not there yet."""

    def __init__(self, core: Core, request: Request, deliver: Deliver) -> None:
        self._core = core
        self._request = request
        self._deliver = deliver
        self._topics: tuple[str, ...] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def start(self, watch: Watch) -> Cancel | None:
        try:
            index, wait = self._request.index, self._request.wait.total_seconds()
        except Rejected as error:
            self._deliver(reply.rejection(error))
            return None
        if not watch.waits_for_content and (not index or watch.index > index):
            return self._finish(watch)
        self._topics = watch.topics
        self._core.watchers.add(watch.topics, self._look)
        jitter = random.uniform(0, wait / 16)  # noqa: S311
        self._timer = asyncio.get_running_loop().call_later(wait + jitter, self._give_up)
        return self._cancel

    def _look(self) -> None:
        """Something changed: answer if it is new to this reader."""
        outcome = self._core.read(self._request)
        if isinstance(outcome, Reply):
            self._stop()
            self._deliver(outcome)
        elif not outcome.waits_for_content and outcome.index > self._request.index:
            self._stop()
            self._finish(outcome)

    def _give_up(self) -> None:
        outcome = self._core.read(self._request)
        self._stop()
        if isinstance(outcome, Reply):
            self._deliver(outcome)
        else:
            self._finish(outcome)

    def _finish(self, watch: Watch) -> Cancel | None:
        """The answer goes out as soon as what it says is on disk."""
        try:
            answer = self._core.render(self._request, watch)
        except Rejected as error:
            answer = reply.rejection(error)
        self._core.when_written(watch.index, partial(self._send, answer))
        return None if self._is_over else self._cancel

    def _send(self, answer: Reply) -> None:
        if not self._is_over:
            self._is_over = True
            self._deliver(answer)

    def _cancel(self) -> None:
        self._is_over = True
        self._stop()

    def _stop(self) -> None:
        self._core.watchers.remove(self._topics, self._look)
        if self._timer:
            self._timer.cancel()
            self._timer = None


def _with_index(answer: Reply, index: int) -> Reply:
    if not index:
        return answer
    return replace(answer, headers=(("X-Consul-Index", str(index)), *_KNOWN, *answer.headers))


_CONSISTENCY = "X-Consul-Effective-Consistency"
_KNOWN = (("X-Consul-KnownLeader", "true"), ("X-Consul-LastContact", "0"), (_CONSISTENCY, "leader"))
_HEADERS_OF = {
    "stale": ((_CONSISTENCY, "stale"),),
    "consistent": ((_CONSISTENCY, "consistent"),),
    "cached": (("X-Cache", "HIT"), ("Age", "0")),
}
"""What a parameter changes in the headers. There is one server and its state is in memory: nothing is ever older."""


def _cache_key(request: Request) -> tuple[object, ...]:
    """What the answer depends on: the path and the parameters, less those that only say when to answer."""
    return (
        request.path,
        *sorted((name, *values) for name, values in request.query.items() if name not in _NOT_WAITED_FOR),
    )
