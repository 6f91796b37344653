from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pierhead.catalog import locks, records, registry
from pierhead.catalog.records import Check, Node, Pair, Service, Session
from pierhead.catalog.state import State


def estate() -> State:
    state = State()
    registry.found_node(state, Node("own", "10.0.0.1"), 8500)
    state.close()
    state.ledger.take()
    return state


def topics(state: State) -> set[str]:
    """What the changes since the last look concern."""
    state.close()
    batch = state.ledger.take()
    return batch.topics if batch else set()


def test_an_equal_row_is_no_change() -> None:
    state = estate()
    first = state.put(Service("own", "a", "web", port=80))
    state.close()
    index = state.ledger.index
    assert state.put(Service("own", "a", "web", port=80)) is first
    state.close()
    assert state.ledger.index == index


def test_a_changed_row_keeps_when_it_was_made() -> None:
    state = estate()
    first = state.put(Service("own", "a", "web", port=80))
    state.close()
    second = state.put(Service("own", "a", "web", port=81))
    assert (second.create, second.modify) == (first.create, first.modify + 1)


def test_changes_concern_their_service_and_no_other() -> None:
    state = estate()
    state.put(Service("own", "a", "Web"))
    state.put(Service("own", "b", "db"))
    state.close()
    state.ledger.take()
    state.put(Check("own", "service:a", "c", "passing", service_id="a"))
    assert topics(state) == {"checks", "node:own", "service:web"}
    state.put(Check("own", "disk", "c", "passing"))
    assert topics(state) == {"checks", "node:own", "service:web", "service:db", "service:consul"}
    state.put(Pair("k", ""))
    assert topics(state) == {"keys", "key:k"}


def test_a_service_goes_with_its_checks() -> None:
    state = estate()
    state.put(Service("own", "a", "web"))
    state.put(Check("own", "service:a", "c", "passing", service_id="a"))
    registry.drop_service(state, "OWN", "a")
    assert state.services("web") == []
    assert [check.id for check in state.checks_on("own")] == ["serfHealth"]
    assert state.names() == ["consul"]


def test_a_service_that_changes_its_name_is_found_under_the_new_one_only() -> None:
    state = estate()
    state.put(Service("own", "a", "old"))
    state.put(Service("own", "a", "new"))
    assert state.services("old") == []
    assert [row.id for row in state.services("NEW")] == ["a"]


def test_what_is_taken_back_never_was() -> None:
    state = estate()
    locks.put(state, "a", "MQ==", 0)
    state.close()
    locks.put(state, "a", "Mg==", 0)
    locks.put(state, "b", "Mg==", 0)
    locks.delete_tree(state, "a")
    state.take_back()
    pair = state.pair("a")
    assert pair
    assert pair.value == "MQ=="
    assert state.keys("") == ["a"]


def test_keys_below_a_prefix_are_sorted() -> None:
    state = State()
    for key in ("b/2", "a", "b/1", "b", "c"):
        locks.put(state, key, "", 0)
    assert state.keys("b") == ["b", "b/1", "b/2"]
    assert state.keys("b/") == ["b/1", "b/2"]
    assert state.keys("") == ["a", "b", "b/1", "b/2", "c"]


def test_a_session_that_ends_releases_or_removes_its_keys() -> None:
    state = estate()
    for behavior in ("release", "delete"):
        session = state.put(Session(f"id-{behavior}", "", "own", behavior, "", 0, 0))
        assert locks.acquire(state, behavior, "", 0, session.id)
        assert locks.end(state, session) == [behavior]
    pair = state.pair("release")
    assert pair
    assert pair.session == ""
    assert state.pair("delete") is None


def test_sessions_end_with_the_check_they_rest_on() -> None:
    state = estate()
    check = state.put(Check("own", "c", "c", "passing"))
    state.put(Session("id", "", "own", "release", "", 0, 0, ("c",)))
    registry.drop_check(state, check)
    assert state.session("id") is None


_rows = st.one_of(
    st.builds(Node, name=st.sampled_from("NnM"), address=st.sampled_from(["1.1.1.1", "2.2.2.2"])),
    st.builds(
        Service,
        node=st.sampled_from("nm"),
        id=st.sampled_from("abc"),
        name=st.sampled_from(["web", "WEB", "db"]),
        tags=st.sampled_from([None, ("x",)]),
        meta=st.sampled_from([None, {"k": "v"}]),
    ),
    st.builds(
        Check,
        node=st.sampled_from("nm"),
        id=st.sampled_from("abc"),
        name=st.just("c"),
        status=st.sampled_from(records.STATUSES),
        service_id=st.sampled_from(["", "a"]),
        definition=st.sampled_from([{}, {"ttl": 1.5}]),
    ),
    st.builds(Pair, name=st.sampled_from(["a", "a/b", "b"]), value=st.sampled_from(["", "MQ=="])),
)


@given(st.lists(st.tuples(st.booleans(), _rows), max_size=40))
def test_what_was_stored_is_the_state_again(changes: list[tuple[bool, records.Row]]) -> None:
    state = State()
    stored: dict[object, str | None] = {}
    for is_put, row in changes:
        if is_put:
            state.put(row)  # type: ignore[type-var]
        else:
            state.drop(row)
        state.close()
        if batch := state.ledger.take():
            for key, changed in batch.rows.items():
                stored[key] = None if changed is None else json.dumps([key[0], records.dump(changed)])
    again = State()
    rows = [json.loads(text) for text in stored.values() if text is not None]
    again.restore([records.load(kind, values) for kind, values in rows], state.ledger.index)
    assert again.everything() == state.everything()
    assert again.keys("") == state.keys("")
    assert [again.services(name) for name in ("web", "db")] == [state.services(name) for name in ("web", "db")]
    assert [again.checks("n", each) for each in ("", "a")] == [state.checks("n", each) for each in ("", "a")]
