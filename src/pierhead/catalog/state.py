"""Everything the catalog knows, in memory, with the ways in which a request finds it. Pure: no clock, no I/O.

Rows are replaced, never altered. Every change goes through `put` or `drop`, which keep the ways to find rows, tell the
ledger which topics it concerns, and can be taken back until the ledger is closed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pierhead.catalog import records
from pierhead.catalog.ledger import Key, Ledger
from pierhead.catalog.records import Check, Node, Pair, Row, Service, Session

R = TypeVar("R", Node, Service, Check, Pair, Session)


@dataclass(slots=True)
class State:
    datacenter: str = "dc1"
    ledger: Ledger = field(default_factory=Ledger)
    _rows: dict[str, dict[tuple[str, ...], Row]] = field(default_factory=lambda: {kind: {} for kind in records.KINDS})
    _by_name: dict[str, dict[Key, None]] = field(default_factory=dict)
    _on_node: dict[str, dict[Key, None]] = field(default_factory=dict)
    """Services and checks of each node."""
    _checks_of: dict[tuple[str, str], dict[Key, None]] = field(default_factory=dict)
    """Checks by node and service id; the id is empty for those of the node."""
    _keys: list[str] = field(default_factory=list)
    """The keys of all pairs, sorted."""
    _undo: list[tuple[Key, Row | None]] = field(default_factory=list)
    keys_deleted: int = 1
    """The index of the last removal of any pair."""

    # -- change --------------------------------------------------------------------------------------------------------

    def restore(self, rows: Iterable[Row], index: int) -> None:
        """The state is what was stored, at `index`; every topic counts as changed then."""
        for row in rows:
            self._set((records.KIND_OF[type(row)], row.key), row)
        self._keys = sorted(key for (key,) in self._rows["pair"])
        self.ledger.index = self.ledger.floor = self.keys_deleted = max(1, index)

    def put(self, row: R) -> R:
        """The row is there, and is returned with its indices. An equal one stays and nothing has changed."""
        key = (records.KIND_OF[type(row)], row.key)
        old = self._at(key)
        content = records.content(row)
        if old is not None and records.content(old) == content:
            return old  # type: ignore[return-value]
        index = self.ledger.next
        kind: Any = type(row)
        return self.write(kind(*content, old.create if old else index, index))  # type: ignore[no-any-return]

    def write(self, row: R) -> R:
        """The row is there with the indices it carries, equal to the old one or not."""
        self._change((records.KIND_OF[type(row)], row.key), row)
        return row

    def drop(self, row: Row) -> None:
        """The row is not there."""
        key = (records.KIND_OF[type(row)], row.key)
        if self._at(key) is not None:
            self._change(key, None)

    def close(self) -> None:
        """All changes since the last `close` are one: none can be taken back any more."""
        self._undo.clear()
        self.ledger.close()

    def take_back(self) -> None:
        """All changes since the last `close` never were; watchers may be woken in vain."""
        while self._undo:
            key, row = self._undo.pop()
            self._move(key, row)
            self.ledger.record(*key, row, ())

    def _change(self, key: Key, row: Row | None) -> None:
        old = self._at(key)
        self._undo.append((key, old))
        topics = {topic for each in (old, row) if each is not None for topic in self._topics(each)}
        self._move(key, row)
        if key[0] == "pair" and row is None:
            self.keys_deleted = self.ledger.next
        self.ledger.record(*key, row, topics)

    def _move(self, key: Key, row: Row | None) -> None:
        if key[0] == "pair":
            self._move_key(key, there=row is not None)
        self._set(key, row)

    def _move_key(self, key: Key, *, there: bool) -> None:
        name = key[1][0]
        was_there = self._at(key) is not None
        if there and not was_there:
            insort(self._keys, name)
        elif was_there and not there:
            del self._keys[bisect_left(self._keys, name)]

    def _set(self, key: Key, row: Row | None) -> None:
        rows = self._rows[key[0]]
        old = rows.get(key[1])
        if row is None:
            rows.pop(key[1], None)
        if old is not None:
            for index, place in self._places(old):
                index[place].pop(key, None)
                if not index[place]:
                    del index[place]
        if row is not None:
            rows[key[1]] = row
            for index, place in self._places(row):
                index.setdefault(place, {})[key] = None

    def _places(self, row: Row) -> Iterator[tuple[dict[Any, dict[Key, None]], Any]]:
        if isinstance(row, Service):
            yield self._by_name, row.name.lower()
            yield self._on_node, row.node.lower()
        elif isinstance(row, Check):
            yield self._checks_of, (row.node.lower(), row.service_id)
            yield self._on_node, row.node.lower()

    def _topics(self, row: Row) -> Iterator[str]:
        if isinstance(row, Service):
            yield from ("services", f"service:{row.name.lower()}", f"node:{row.node.lower()}")
        elif isinstance(row, Check):
            yield from ("checks", f"node:{row.node.lower()}")
            yield from self._topics_of_check(row)
        elif isinstance(row, Node):
            yield from ("nodes", "services", f"node:{row.name.lower()}")
            yield from (f"service:{service.name.lower()}" for service in self.services_on(row.name))
        elif isinstance(row, Pair):
            yield from ("keys", f"key:{row.name}")
        else:
            yield "sessions"

    def _topics_of_check(self, check: Check) -> Iterator[str]:
        if not check.service_id:
            yield from (f"service:{service.name.lower()}" for service in self.services_on(check.node))
        elif service := self.service(check.node, check.service_id):
            yield f"service:{service.name.lower()}"

    # -- find ----------------------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node | None:
        return self._rows["node"].get((name.lower(),))  # type: ignore[return-value]

    def service(self, node: str, service_id: str) -> Service | None:
        return self._rows["service"].get((node.lower(), service_id))  # type: ignore[return-value]

    def check(self, node: str, check_id: str) -> Check | None:
        return self._rows["check"].get((node.lower(), check_id))  # type: ignore[return-value]

    def pair(self, key: str) -> Pair | None:
        return self._rows["pair"].get((key,))  # type: ignore[return-value]

    def session(self, session_id: str) -> Session | None:
        return self._rows["session"].get((session_id,))  # type: ignore[return-value]

    def all(self, kind: type[R]) -> list[R]:
        """Every row of a kind, in the order of their keys."""
        rows = self._rows[records.KIND_OF[kind]]
        return [rows[key] for key in sorted(rows)]  # type: ignore[misc]

    def everything(self) -> dict[Key, Row | None]:
        """Every row by its kind and key."""
        return {(kind, key): row for kind, rows in self._rows.items() for key, row in rows.items()}

    def each(self, kind: type[R]) -> Iterable[R]:
        """Every row of a kind, in the order in which they came."""
        return self._rows[records.KIND_OF[kind]].values()  # type: ignore[return-value]

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def names(self) -> list[str]:
        """Every service name, sorted, spelled as the first instance spells it."""
        return [self._first(rows).name for _, rows in sorted(self._by_name.items())]

    def services(self, name: str) -> list[Service]:
        """The instances of a service, by node and id."""
        return [self._at(key) for key in sorted(self._by_name.get(name.lower(), ()))]  # type: ignore[misc]

    def services_on(self, node: str) -> list[Service]:
        return [row for row in self._of_node(node) if isinstance(row, Service)]

    def checks_on(self, node: str) -> list[Check]:
        return [row for row in self._of_node(node) if isinstance(row, Check)]

    def checks(self, node: str, service_id: str) -> list[Check]:
        """The checks of one service; with an empty id those of the node itself."""
        return [self._at(key) for key in sorted(self._checks_of.get((node.lower(), service_id), ()))]  # type: ignore[misc]

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin with `prefix`, sorted."""
        start = bisect_left(self._keys, prefix)
        end = start
        while end < len(self._keys) and self._keys[end].startswith(prefix):
            end += 1
        return self._keys[start:end]

    def _of_node(self, node: str) -> list[Row]:
        return [self._at(key) for key in sorted(self._on_node.get(node.lower(), ()))]  # type: ignore[misc]

    def _first(self, rows: dict[Key, None]) -> Service:
        return self._at(next(iter(rows)))  # type: ignore[return-value]

    def _at(self, key: Key) -> Row | None:
        return self._rows[key[0]].get(key[1])
