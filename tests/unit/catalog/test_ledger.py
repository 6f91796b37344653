from __future__ import annotations

from pierhead.catalog.ledger import Ledger


def test_changes_between_two_closes_have_one_index() -> None:
    ledger = Ledger()
    ledger.record("pair", ("a",), None, ["keys"])
    ledger.record("pair", ("b",), None, ["keys"])
    ledger.close()
    assert ledger.index == 2
    batch = ledger.take()
    assert batch
    assert batch.index == 2
    assert len(batch.rows) == 2
    assert ledger.take() is None


def test_nothing_changed_is_no_index() -> None:
    ledger = Ledger(5, 5)
    ledger.close()
    assert ledger.index == 5


def test_a_topic_that_never_changed_in_this_life_has_the_index_it_began_with() -> None:
    ledger = Ledger(5, 5)
    ledger.record("pair", ("a",), None, ["keys"])
    ledger.close()
    assert (ledger.changed("keys"), ledger.changed("services")) == (6, 5)


def test_what_changed_since_an_index_is_what_changed_last() -> None:
    ledger = Ledger(5, 5)
    for number, topic in enumerate(("a", "b", "a", "c")):
        ledger.record("pair", (str(number),), None, [topic])
        ledger.close()
    assert ledger.since(7) == ["c", "a"]
    assert ledger.since(5) == ["c", "a", "b"]
    assert ledger.since(9) == []


def test_what_changed_in_another_life_is_not_known() -> None:
    ledger = Ledger(5, 5)
    assert ledger.since(4) is None
    assert ledger.since(6) is None
