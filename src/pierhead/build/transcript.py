"""What a build writes, kept line by line soon after it was written: many lines with one write, and not without end."""

from __future__ import annotations

from datetime import timedelta

from pierhead.control import builds
from pierhead.control.context import Context
from pierhead.kit import tasks
from pierhead.kit.tasks import Signal

_MOST_CHARACTERS = 8 << 20
"""Of one build. What comes after is not kept, but for the last step's reason."""


class Transcript:
    """The log of one build. `add` never waits for the disk, `flush` does."""

    def __init__(self, ctx: Context, build_id: int) -> None:
        self._ctx, self._build_id = ctx, build_id
        self._lines: list[tuple[str, str]] = []
        self._left = _MOST_CHARACTERS
        self._grew = Signal()

    async def add(self, step: str, text: str) -> None:
        """A line of that step."""
        if self._left <= 0:
            return
        self._left -= len(text) + 1
        self._lines.append((step, text))
        if self._left <= 0:
            self._lines.append((step, f"The log has more than {_MOST_CHARACTERS >> 20} MiB: the rest is not kept."))
        self._grew.set()

    async def flush(self) -> None:
        """Every line so far is on disk, and its readers have been woken."""
        lines, self._lines = self._lines, []
        if lines:
            await tasks.whole(builds.note_all(self._ctx, self._build_id, lines))

    async def grew(self, limit: timedelta) -> None:
        """Returns when there are new lines, or after `limit`."""
        await self._grew.wait(limit)
