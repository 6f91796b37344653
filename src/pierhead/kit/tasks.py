"""The few shapes of concurrency that loops share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Signal:
    """Something may have changed. Many `set` calls before a `wait` count as one.

    Source of truth is never the signal: whoever waits looks again at the whole state.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, limit: timedelta | None = None) -> bool:
        """True when it was set, False when `limit` ran out first. Clears it either way."""
        try:
            async with asyncio.timeout(limit.total_seconds() if limit else None):  # wait_for loses cancellations
                await self._event.wait()
        except TimeoutError:
            return False
        finally:
            self._event.clear()
        return True


class Broadcast:
    """Like `Signal`, for any number of waiters: each `set` wakes all that wait at that moment."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, limit: timedelta) -> bool:
        """True when it was set, False when `limit` ran out first."""
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


async def ending(work: Coroutine[Any, Any, None], stop: Callable[[], None], limit: timedelta) -> None:
    """Runs `work`. When cancelled, asks it to end by `stop` and gives it until `limit` before cancelling it too."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        stop()
        _, late = await asyncio.wait([task], timeout=limit.total_seconds())
        if late:
            task.cancel()
        raise


async def unless(interrupted: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> bool:
    """Runs `work` until it ends, or until `interrupted` does and cancels it. True when it ended by itself.

    Raises: what `work` raised.
    """
    working, watching = asyncio.create_task(work), asyncio.create_task(interrupted)
    try:
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        finished = working.done()
    finally:
        watching.cancel()
        working.cancel()
        await asyncio.wait([working, watching])
    if finished:
        working.result()
    elif not watching.cancelled():
        watching.result()
    return finished


async def whole(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end even when the caller is cancelled meanwhile; the cancellation goes on after it.

    For what must not be left halfway: a statement that its caller no longer waits for goes on in its thread and keeps
    the lock; of a build's end that is written, the rest follows.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def merged(sources: Sequence[AsyncIterator[T]]) -> AsyncIterator[T]:
    """What the sources give, in the order in which it comes; ends when all have. Raises: what the first one raises."""
    queue: asyncio.Queue[tuple[bool, Any]] = asyncio.Queue()
    room = asyncio.Semaphore(1000)

    async def pump(source: AsyncIterator[T]) -> None:
        async for item in source:
            await room.acquire()
            queue.put_nowait((True, item))

    pumps = [asyncio.create_task(pump(source)) for source in sources]
    for one in pumps:
        one.add_done_callback(lambda task: queue.put_nowait((False, task)))
    left = len(pumps)
    try:
        while left:
            is_item, value = await queue.get()
            if is_item:
                room.release()
                yield value
            else:
                left -= 1
                value.result()
    finally:
        for one in pumps:
            one.cancel()
        if pumps:
            await asyncio.wait(pumps)


class Crew:
    """Tasks that fail each by itself: none ends another, or whoever began it. Used as an async context manager."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """All have ended, those that still worked by being cancelled."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def begin(
        self, work: Coroutine[Any, Any, None], ended: Callable[[BaseException | None], None]
    ) -> asyncio.Task[None]:
        """The work goes on beside everything else; `ended` hears how it came to its end, unless it was cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled():
                ended(task.exception())

        task.add_done_callback(done)
        return task
