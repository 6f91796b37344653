from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pierhead.catalog.deadlines import Deadlines


def test_a_deadline_that_was_moved_is_due_when_it_was_moved_to() -> None:
    deadlines = Deadlines()
    deadlines.set(("a",), 1.0)
    deadlines.set(("a",), 5.0)
    assert deadlines.due(4.0) == []
    assert deadlines.due(5.0) == [("a",)]
    assert deadlines.due(9.0) == []


def test_a_deadline_that_came_closer_is_due_then() -> None:
    deadlines = Deadlines()
    deadlines.set(("a",), 5.0)
    deadlines.set(("a",), 1.0)
    assert deadlines.next == 1.0
    assert deadlines.due(1.0) == [("a",)]
    assert deadlines.due(6.0) == []


def test_a_cleared_deadline_is_never_due() -> None:
    deadlines = Deadlines()
    deadlines.set(("a",), 1.0)
    deadlines.clear(("a",))
    assert deadlines.due(2.0) == []
    assert deadlines.next is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 20))), max_size=40))
def test_each_key_is_due_once_at_its_last_deadline(moves: list[tuple[str, int | None]]) -> None:
    deadlines = Deadlines()
    wanted: dict[str, int] = {}
    for name, at in moves:
        if at is None:
            deadlines.clear((name,))
            wanted.pop(name, None)
        else:
            deadlines.set((name,), at)
            wanted[name] = at
    found = {key[0]: now for now in range(21) for key in deadlines.due(now)}
    assert found == wanted
