"""No pauses by Python's collector, which else looks through every row again and again: 200 ms for 20,000 of them.

Rows are in no cycles: they go when the last reference goes. So they are put out of the collector's sight as they come
(`gc.freeze`). What else happens to be alive at such a moment, and is in a cycle, is looked for once an hour.
"""

from __future__ import annotations

import gc
from datetime import timedelta

LEAST = 2000
"""Changed rows after which they are put out of sight; a tenth of all rows where that is more."""
THOROUGH = timedelta(hours=1)


class Settled:
    """`now` is in seconds on one clock."""

    def __init__(self, now: float) -> None:
        gc.freeze()
        self._changed = 0
        self._due = now + THOROUGH.total_seconds()

    def changed(self, rows: int, of: int, now: float) -> None:
        """That many of all rows are new or others than before."""
        self._changed += rows
        if self._changed < max(LEAST, of // 10):
            return
        self._changed = 0
        if now >= self._due:
            self._due = now + THOROUGH.total_seconds()
            gc.unfreeze()
            gc.collect()
        gc.freeze()
