"""The few shapes of concurrency that loops share."""

from __future__ import annotations

import asyncio
from datetime import timedelta


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
            await asyncio.wait_for(self._event.wait(), limit.total_seconds() if limit else None)
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
            await asyncio.wait_for(self._event.wait(), limit.total_seconds())
        except TimeoutError:
            return False
        return True
