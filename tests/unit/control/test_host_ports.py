"""Host ports are given one after the other, and none again soon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.control import host_ports
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.store.host_ports import Rule, Taken, choose

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULE = Rule(20000, 20009, timedelta(minutes=2))


def taken(port: int, age: int, left: int | None = None) -> Taken:
    """Taken `age` seconds ago, given back `left` seconds ago."""
    back = None if left is None else NOW - timedelta(seconds=left)
    return Taken(port, "a-dev-v1-1", NOW - timedelta(seconds=age), back)


def chosen(*there: Taken, count: int = 1) -> list[int]:
    return list(choose({one.port: one for one in there}, count, RULE, NOW))


def test_the_next_one_is_behind_the_one_that_was_given_last() -> None:
    assert chosen(count=2) == [20000, 20001]
    assert chosen(taken(20003, 500, 400), taken(20001, 100)) == [20002]
    assert chosen(taken(20009, 5)) == [20000]


def test_a_port_that_is_held_or_was_given_back_a_moment_ago_is_passed_over() -> None:
    assert chosen(taken(20000, 5), taken(20001, 500, 119), taken(20002, 500, 121)) == [20002]


def test_when_none_is_left_the_settings_are_named() -> None:
    everything = [taken(port, 500, 5) for port in range(20000, 20010)]
    with pytest.raises(errors.Conflict, match="from 20000 to 20009"):
        chosen(*everything)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 400), st.booleans()), max_size=40))
def test_no_port_is_given_twice_within_its_quarantine(life: list[tuple[int, int, bool]]) -> None:
    there: dict[int, Taken] = {}
    now = NOW
    for count, seconds, is_given_back in life:
        now += timedelta(seconds=seconds)
        try:
            ports = choose(there, count, RULE, now)
        except errors.Conflict:
            ports = []
        for port in ports:
            before = there.get(port)
            assert before is None or (before.left_at and now - before.left_at >= RULE.quarantine)
            there[port] = Taken(port, "x", now, now if is_given_back else None)


async def test_an_engine_service_holds_its_ports_until_it_is_gone(ctx: Context) -> None:
    name, ports = await host_ports.take(ctx, "notes-dev-v1", 2)
    assert (name, ports) == ("notes-dev-v1-20000", [20000, 20001])
    await host_ports.settle(ctx, set())
    assert (await host_ports.take(ctx, "notes-dev-v1", 1))[1] == [20002], "one that is just being made keeps its ports"


async def test_after_five_ports_of_other_programs_somebody_has_to_look(ctx: Context) -> None:
    for _ in range(5):
        name, ports = await host_ports.take(ctx, "notes-dev-v1", 1)
        await host_ports.refused(ctx, "notes-dev-v1", name, ports)
    name, ports = await host_ports.take(ctx, "notes-dev-v1", 1)
    with pytest.raises(errors.Invalid, match="20000, 20001, 20002, 20003, 20004"):
        await host_ports.refused(ctx, "notes-dev-v1", name, ports)
    other, ports = await host_ports.take(ctx, "notes-dev-v11", 1)
    await host_ports.refused(ctx, "notes-dev-v11", other, ports)
