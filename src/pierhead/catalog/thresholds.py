"""When a probe's results become a check's status. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pierhead.catalog.records import CRITICAL


@dataclass(slots=True)
class Threshold:
    """A status holds once it has been seen `rise` (passing, warning) or `fall` (critical) times in a row."""

    rise: int = 0
    fall: int = 0
    _good: int = 0
    _bad: int = 0

    def holds(self, status: str) -> bool:
        """The result is counted; True when the check has that status now."""
        if status == CRITICAL:
            self._bad, self._good = self._bad + 1, 0
            return self._bad >= self.fall
        self._good, self._bad = self._good + 1, 0
        return self._good >= self.rise
