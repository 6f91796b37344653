"""One serial worker per key: work for one key never overlaps, work for different keys does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Keyed(Generic[K]):
    """Runs `work(key)` for every key that is submitted, inside the group it is given.

    Submissions are level-triggered: those that come while a key waits count as one, and one that comes while its work
    runs makes it run once more. At most `limit` keys are worked on at once. What `work` raises ends the group.
    """

    def __init__(self, group: asyncio.TaskGroup, work: Callable[[K], Awaitable[None]], *, limit: int = 16) -> None:
        self._group = group
        self._work = work
        self._room = asyncio.Semaphore(limit)
        self._again: dict[K, bool] = {}

    def submit(self, key: K) -> None:
        """`work(key)` begins after this moment, at least once."""
        if key in self._again:
            self._again[key] = True
            return
        self._again[key] = True
        self._group.create_task(self._run(key))

    @property
    def pending(self) -> int:
        """Keys that wait or are worked on."""
        return len(self._again)

    async def _run(self, key: K) -> None:
        try:
            while self._again[key]:
                async with self._room:
                    self._again[key] = False
                    await self._work(key)
        finally:
            del self._again[key]
