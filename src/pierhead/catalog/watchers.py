"""Who waits for which topic. Pure: it holds callbacks and calls those that a change concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

Wake = Callable[[], None]

_KEY, _TREE = "key:", "tree:"


@dataclass(slots=True)
class Watchers:
    """Topics as in `ledger`, and `tree:<prefix>`, which every changed key that begins with the prefix concerns."""

    _waiting: dict[str, dict[Wake, None]] = field(default_factory=dict)
    _lengths: dict[int, int] = field(default_factory=dict)
    """How many prefixes of each length are watched."""

    def add(self, topics: Iterable[str], wake: Wake) -> None:
        """`wake` is called once for the next change of any of the topics, unless removed before."""
        for topic in topics:
            if topic not in self._waiting:
                self._waiting[topic] = {}
                self._count(topic, 1)
            self._waiting[topic][wake] = None

    def remove(self, topics: Iterable[str], wake: Wake) -> None:
        """`wake` is not called any more. Idempotent."""
        for topic in topics:
            waiting = self._waiting.get(topic)
            if waiting is None:
                continue
            waiting.pop(wake, None)
            if not waiting:
                del self._waiting[topic]
                self._count(topic, -1)

    def wake(self, topics: Iterable[str]) -> None:
        """Whoever waits for one of the topics is woken, once."""
        concerned: dict[Wake, None] = {}
        for topic in topics:
            for each in self._concerned(topic):
                concerned.update(self._waiting.get(each, {}))
        for call in concerned:
            call()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _concerned(self, topic: str) -> Iterable[str]:
        yield topic
        if topic.startswith(_KEY):
            key = topic.removeprefix(_KEY)
            yield from (_TREE + key[:length] for length in self._lengths if length <= len(key))

    def _count(self, topic: str, change: int) -> None:
        if not topic.startswith(_TREE):
            return
        length = len(topic) - len(_TREE)
        count = self._lengths.get(length, 0) + change
        if count:
            self._lengths[length] = count
        else:
            del self._lengths[length]
