"""How long to wait before the next try."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(slots=True)
class Backoff:
    """Waits that double from `first` up to `limit`, each shortened by up to a fifth so that many do not act at once."""

    first: timedelta = timedelta(milliseconds=200)
    limit: timedelta = timedelta(seconds=30)
    _failures: int = field(default=0, init=False)

    def failed(self) -> float:
        """The seconds to wait after one more failure."""
        seconds = self.first.total_seconds() * float(1 << min(self._failures, 20))
        self._failures += 1
        return min(self.limit.total_seconds(), seconds) * random.uniform(0.8, 1.0)  # noqa: S311

    def succeeded(self) -> None:
        """The next failure waits `first` again."""
        self._failures = 0
