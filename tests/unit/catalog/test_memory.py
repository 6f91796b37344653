from __future__ import annotations

import gc

from pierhead.catalog import memory
from pierhead.catalog.memory import Settled


def test_what_has_come_is_put_out_of_the_collector_s_sight() -> None:
    gc.unfreeze()
    settled = Settled(0.0)
    rows = [[number] for number in range(memory.LEAST)]
    before = gc.get_freeze_count()
    settled.changed(len(rows) - 1, len(rows), 1.0)
    assert gc.get_freeze_count() <= before  # some of what others made may have gone
    settled.changed(1, len(rows), 2.0)
    assert gc.get_freeze_count() > before + len(rows) // 2
    gc.unfreeze()


def test_once_an_hour_cycles_are_looked_for_everywhere() -> None:
    class Node:
        pass

    gc.unfreeze()
    settled = Settled(0.0)
    one = Node()
    one.self = one  # type: ignore[attr-defined]
    settled.changed(memory.LEAST, 0, 1.0)
    del one
    settled.changed(memory.LEAST, 0, 2.0)
    assert [found for found in gc.get_objects() if isinstance(found, Node)] == []  # frozen ones are not listed
    settled.changed(memory.LEAST, 0, memory.THOROUGH.total_seconds() + 1)
    gc.unfreeze()
    assert [found for found in gc.get_objects() if isinstance(found, Node)] == []
