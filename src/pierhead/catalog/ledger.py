"""The one index of the catalog, which topics changed at which index, and what is not on disk yet. Pure.

Topics are texts: `services`, `service:<name>`, `nodes`, `node:<name>`, `checks`, `keys`, `key:<key>`, `sessions`,
`events`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pierhead.catalog import records

MOST_TOPICS = 500_000
"""Above that the topics are forgotten and every one counts as changed now: watchers ask once in vain."""

Key = tuple[str, tuple[str, ...]]
"""Kind and key of a row."""


@dataclass(slots=True)
class Batch:
    """What must be on disk before anybody hears of it."""

    index: int = 0
    rows: dict[Key, records.Row | None] = field(default_factory=dict)
    """The row as it is now; None: gone."""
    topics: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Ledger:
    index: int = 1
    """The index of the last change. Never goes back, not even over a restart."""
    floor: int = 1
    """The index of every topic that has not changed in this life."""
    _changed: dict[str, int] = field(default_factory=dict)
    """The one that changed last is last."""
    _batch: Batch = field(default_factory=Batch)
    _open: bool = False

    @property
    def next(self) -> int:
        """The index of the change that is being made."""
        return self.index + 1

    def record(self, kind: str, key: tuple[str, ...], row: records.Row | None, topics: Iterable[str]) -> None:
        """The change belongs to the next index, which `close` makes the present one."""
        self._open = True
        self._batch.rows[(kind, key)] = row
        self.touch(topics)

    def touch(self, topics: Iterable[str]) -> None:
        """Whoever watches `topics` is woken with the next index."""
        self._open = True
        for topic in topics:
            self._changed.pop(topic, None)
            self._changed[topic] = self.index + 1
            self._batch.topics.add(topic)

    def close(self) -> None:
        """Everything recorded since the last `close` happened at one index, if there was anything."""
        if self._open:
            self._open = False
            self.index += 1
            self._batch.index = self.index
            if len(self._changed) > MOST_TOPICS:
                self._changed.clear()
                self.floor = self.index

    def take(self) -> Batch | None:
        """What has been closed since the last `take`, or None."""
        if not self._batch.index:
            return None
        batch, self._batch = self._batch, Batch()
        return batch

    def changed(self, topic: str) -> int:
        """The index at which the topic last changed, at least 1."""
        return self._changed.get(topic, self.floor)

    def since(self, index: int) -> list[str] | None:
        """The topics that changed after `index`, as many steps as there are. None: that is not known any more."""
        if not self.floor <= index <= self.index:
            return None
        found = []
        for topic, at in reversed(self._changed.items()):
            if at <= index:
                break
            found.append(topic)
        return found
