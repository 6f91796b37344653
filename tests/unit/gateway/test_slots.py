from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pierhead.gateway import slots

KEYS = st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "::1"]), st.integers(1, 12))
HELD = st.lists(st.none() | KEYS, max_size=16)


@given(HELD, st.lists(KEYS, max_size=30))
def test_everyone_wanted_has_exactly_one_slot_and_nobody_else_has_any(
    held: list[slots.Key | None], wanted: list[slots.Key]
) -> None:
    seated = [key for key in slots.assign(held, wanted) if key]
    assert sorted(seated) == sorted(set(wanted))


@given(HELD, st.lists(KEYS, max_size=30))
def test_who_has_a_slot_and_is_still_wanted_keeps_it(held: list[slots.Key | None], wanted: list[slots.Key]) -> None:
    after = slots.assign(held, wanted)
    for index, key in enumerate(held):
        if key in wanted and held.index(key) == index:
            assert after[index] == key


@given(HELD, st.lists(KEYS, max_size=30))
def test_there_are_never_fewer_slots_than_before(held: list[slots.Key | None], wanted: list[slots.Key]) -> None:
    after = slots.assign(held, wanted)
    assert len(after) >= max(len(held), slots.LEAST)
    assert slots.assign(after, wanted) == after


def test_slots_grow_by_doubling() -> None:
    assert [slots.size(0, 0), slots.size(8, 8), slots.size(8, 9), slots.size(8, 33)] == [8, 8, 16, 64]


def test_who_takes_the_place_of_all_others_is_there_before_they_leave() -> None:
    old, new = ("10.0.0.1", 1), ("10.0.0.1", 2)
    assert slots.assign((old,), [new])[:2] == (None, new)
    assert slots.assign((old, *(None,) * 7), [new])[:2] == (None, new)
    full = tuple(("10.0.0.1", port) for port in range(10, 18))
    assert slots.assign(full, [new])[0] == new


def test_a_slot_that_was_just_freed_is_used_last() -> None:
    a, b, c = ("h", 1), ("h", 2), ("h", 3)
    assert slots.assign((a, b, *[None] * 6), [b, c])[:4] == (None, b, c, None)


def of(*releases: str) -> list[tuple[str, int]]:
    return [(release, 100) for release in releases]


def test_without_declared_weights_every_server_counts_as_it_says() -> None:
    assert slots.weights(of("v1", "v1", "v2"), {}) == [100, 100, 100]
    assert slots.weights([("v1", 100), ("v1", 10), ("", 0)], {}) == [100, 10, 0]


def test_a_release_s_weight_is_divided_over_its_servers() -> None:
    assert slots.weights(of("v1", "v1", "v1", "v2"), {"v1": 75, "v2": 25}) == [256, 256, 256, 256]
    assert slots.weights(of("v1", "v2"), {"v1": 90, "v2": 10}) == [252, 28]
    assert slots.weights(of("v1", "v1", "v1", "v2"), {"v1": 95, "v2": 5}) == [247, 247, 247, 39]
    assert slots.weights(of("v1", "v2"), {"v2": 0}) == [256, 0]


@given(keys=st.sets(st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "::1"]), st.integers(1, 65535)), max_size=40))
def test_a_scattered_slot_follows_from_who_else_is_there_and_from_nothing_else(keys: set[tuple[str, int]]) -> None:
    found = slots.scatter(sorted(keys))
    assert found == slots.scatter(sorted(keys, reverse=True))
    assert {key for key in found if key} == keys
    assert len(found) >= 2 * len(keys)


def test_most_scattered_slots_stay_when_one_leaves() -> None:
    keys = [(f"10.0.0.{n}", 80) for n in range(1, 15)]
    before, after = slots.scatter(keys), slots.scatter(keys[1:])
    moved = [key for key in keys[1:] if before.index(key) != after.index(key)]
    assert len(before) == len(after)
    assert len(moved) <= 3


def test_a_release_s_weight_is_divided_by_what_its_servers_say() -> None:
    assert slots.weights([("v1", 100), ("v1", 50), ("v2", 100)], {"v1": 30, "v2": 10}) == [256, 128, 128]


SERVERS = st.lists(st.tuples(st.sampled_from(["v1", "v2", "v3"]), st.integers(0, 256)), max_size=20)
DECLARED = st.dictionaries(st.sampled_from(["v1", "v2"]), st.integers(0, 256))


@given(SERVERS, DECLARED)
def test_weights_are_what_haproxy_takes(servers: list[tuple[str, int]], declared: dict[str, int]) -> None:
    found = slots.weights(servers, declared)
    assert all(0 <= weight <= 256 for weight in found)
    for (release, own), weight in zip(servers, found, strict=True):
        assert bool(weight) == bool(own and (not declared or declared.get(release, 100)))


def test_releases_that_are_not_named_share_one_weight() -> None:
    servers = [("v1", 100), ("v2", 100), ("v3", 100)]
    assert slots.weights(servers, {"v3": 50, "*": 50}) == [128, 128, 256]
    assert slots.weights(servers, {"v3": 0, "*": 100}) == [256, 256, 0]
