"""What is due when: a table of deadlines that are moved far more often than met. Pure; times are in seconds."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

Key = tuple[str, ...]


@dataclass(slots=True)
class Deadlines:
    _at: dict[Key, float] = field(default_factory=dict)
    _heap: list[tuple[float, Key]] = field(default_factory=list)
    """At least one entry, at its deadline or before, for each key of `_at`."""

    def set(self, key: Key, at: float) -> None:
        """The key is due at `at` and not before."""
        known = self._at.get(key)
        self._at[key] = at
        if known is None or at < known:
            heapq.heappush(self._heap, (at, key))

    def clear(self, key: Key) -> None:
        """The key is never due."""
        self._at.pop(key, None)

    def has(self, key: Key) -> bool:
        return key in self._at

    def due(self, now: float) -> list[Key]:
        """The keys whose time has come, each once; they are no longer in the table."""
        found: list[Key] = []
        while self._heap and self._heap[0][0] <= now:
            _, key = heapq.heappop(self._heap)
            at = self._at.get(key)
            if at is None:
                continue
            if at <= now:
                del self._at[key]
                found.append(key)
            else:
                heapq.heappush(self._heap, (at, key))
        return found

    @property
    def next(self) -> float | None:
        """When something may be due, or None."""
        return self._heap[0][0] if self._heap else None
