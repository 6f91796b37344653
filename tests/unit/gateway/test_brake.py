from __future__ import annotations

from pierhead.gateway import brake
from pierhead.model.instance import Endpoint, State


def some(count: int, state: State = State.HEALTHY, name: str = "") -> list[Endpoint]:
    return [Endpoint(f"{name}{n}", "s", "10.0.0.1", n + 1, state, {}) for n in range(count)]


def test_most_of_them_gone_at_once_is_doubtful() -> None:
    assert brake.is_doubtful(some(4), some(1))
    assert brake.is_doubtful(some(1), [])


def test_half_of_them_gone_is_believed() -> None:
    assert not brake.is_doubtful(some(4), some(2))
    assert not brake.is_doubtful([], [])


def test_those_that_were_drained_may_go() -> None:
    assert not brake.is_doubtful(some(4, State.DRAINING), [])


def test_those_that_others_have_replaced_may_go() -> None:
    """As after the restart of a machine."""
    assert not brake.is_doubtful(some(4), some(3, name="new"))
    assert brake.is_doubtful(some(4), some(4, State.UNHEALTHY, name="new"))
    assert brake.is_doubtful(some(4), some(1, name="new"))


def test_most_of_a_larger_estate_gone_at_once_is_doubtful() -> None:
    before = {name: some(10) for name in "abcd"}
    assert brake.is_estate_doubtful(before, {name: some(0) for name in "abc"})
    assert not brake.is_estate_doubtful(before, {name: some(0) for name in "ab"})
    assert not brake.is_estate_doubtful({name: some(2) for name in "abcd"}, {name: some(0) for name in "abcd"})
