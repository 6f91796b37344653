"""Keys, sessions, locks and transactions."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from time import monotonic

import pytest

from pierhead.kit import errors
from pierhead.wire.consul import kv, session
from pierhead.wire.consul.client import Consul

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_pair_comes_back_byte_for_byte(consul: Consul, name: str) -> None:
    value = bytes(range(256))
    assert await kv.put(consul, f"{name}/ä b", value, flags=(1 << 64) - 1)
    pair, index = await kv.get(consul, f"{name}/ä b")
    assert pair
    assert (pair.key, pair.value, pair.flags) == (f"{name}/ä b", value, (1 << 64) - 1)
    assert index == pair.modify_index == pair.create_index


async def test_an_empty_value_is_empty_and_an_absent_key_is_none(consul: Consul, name: str) -> None:
    await kv.put(consul, name, b"")
    pair, _ = await kv.get(consul, name)
    assert pair
    assert pair.value == b""
    absent, index = await kv.get(consul, f"{name}-absent")
    assert absent is None
    assert index >= 1


async def test_keys_are_ordered_and_cut_at_the_separator(consul: Consul, name: str) -> None:
    for key in ("b/2", "a", "b/1", "c"):
        await kv.put(consul, f"{name}/{key}", b"x")
    assert await kv.keys(consul, f"{name}/") == tuple(f"{name}/{key}" for key in ("a", "b/1", "b/2", "c"))
    assert await kv.keys(consul, f"{name}/", separator="/") == tuple(f"{name}/{key}" for key in ("a", "b/", "c"))
    assert await kv.keys(consul, f"{name}-absent") == ()
    assert await kv.delete(consul, f"{name}/", recurse=True)
    assert (await kv.get_tree(consul, name))[0] == ()


async def test_cas_writes_only_what_was_read(consul: Consul, name: str) -> None:
    assert await kv.put(consul, name, b"1", cas=0)
    assert not await kv.put(consul, name, b"2", cas=0)
    pair, _ = await kv.get(consul, name)
    assert pair
    assert not await kv.put(consul, name, b"2", cas=pair.modify_index + 1)
    assert await kv.put(consul, name, b"2", cas=pair.modify_index)
    assert not await kv.delete(consul, name, cas=pair.modify_index)
    pair, _ = await kv.get(consul, name)
    assert pair
    assert await kv.delete(consul, name, cas=pair.modify_index)


async def test_of_many_who_cas_at_once_one_wins(consul: Consul, name: str) -> None:
    await kv.put(consul, name, b"0")
    pair, _ = await kv.get(consul, name)
    assert pair
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(kv.put(consul, name, b"%d" % number, cas=pair.modify_index)) for number in range(1, 30)
        ]
    assert [task.result() for task in tasks].count(True) == 1


async def test_a_value_above_the_limit_is_refused_and_one_at_it_is_not(consul: Consul, name: str) -> None:
    assert await kv.put(consul, name, b"x" * (512 << 10))
    with pytest.raises(errors.Invalid, match="too large"):
        await kv.put(consul, name, b"y" * (1 << 20))
    pair, _ = await kv.get(consul, name)
    assert pair
    assert pair.value == b"x" * (512 << 10)


async def test_a_lock_is_held_by_one_session(consul: Consul, name: str) -> None:
    first = await session.create(consul, name="first", lock_delay=timedelta())
    second = await session.create(consul, name="second", lock_delay=timedelta())
    assert await kv.put(consul, name, b"1", acquire=first)
    assert await kv.put(consul, name, b"1b", acquire=first)
    assert not await kv.put(consul, name, b"2", acquire=second)
    assert not await kv.put(consul, name, b"2", release=second)
    pair, _ = await kv.get(consul, name)
    assert pair
    assert (pair.value, pair.session, pair.lock_index) == (b"1b", first, 1)
    assert await kv.put(consul, name, b"3", release=first)
    assert await kv.put(consul, name, b"4", acquire=second)
    pair, _ = await kv.get(consul, name)
    assert pair
    assert (pair.session, pair.lock_index) == (second, 2)
    await session.destroy(consul, first)
    await session.destroy(consul, second)
    pair, _ = await kv.get(consul, name)
    assert pair
    assert pair.session == ""


async def test_a_plain_write_over_a_lock_keeps_its_session(consul: Consul, name: str) -> None:
    held = await session.create(consul)
    await kv.put(consul, name, b"1", acquire=held)
    assert await kv.put(consul, name, b"2")
    pair, _ = await kv.get(consul, name)
    assert pair
    assert (pair.session, pair.lock_index) == (held, 0)
    await session.destroy(consul, held)


async def test_a_session_takes_its_keys_with_it_when_it_is_to(consul: Consul, name: str) -> None:
    held = await session.create(consul, behavior="delete", ttl=timedelta(seconds=10))
    assert await kv.put(consul, name, b"1", acquire=held)
    found = await session.info(consul, held)
    assert found
    assert (found.behavior, found.ttl, found.node) == ("delete", "10000ms", "probe")
    await session.renew(consul, held)
    await session.destroy(consul, held)
    await session.destroy(consul, held)
    assert (await kv.get(consul, name))[0] is None
    assert await session.info(consul, held) is None
    with pytest.raises(errors.NotFound):
        await session.renew(consul, held)


async def test_after_a_destroyed_session_nobody_gets_the_lock_for_its_delay(consul: Consul, name: str) -> None:
    first = await session.create(consul, lock_delay=timedelta(seconds=1))
    second = await session.create(consul)
    await kv.put(consul, name, b"1", acquire=first)
    await session.destroy(consul, first)
    assert not await kv.put(consul, name, b"2", acquire=second)
    deadline = monotonic() + 5
    while not await kv.put(consul, name, b"2", acquire=second):
        assert monotonic() < deadline
        await asyncio.sleep(0.1)
    await session.destroy(consul, second)


async def test_a_transaction_happens_whole_or_not_at_all(consul: Consul, name: str) -> None:
    value = base64.b64encode(b"v").decode()
    sets = [{"KV": {"Verb": "set", "Key": f"{name}/{part}", "Value": value}} for part in "ab"]
    answer = (await consul.put("/v1/txn", sets)).json()
    assert [result["KV"]["Key"] for result in answer["Results"]] == [f"{name}/a", f"{name}/b"]
    assert answer["Errors"] is None
    stale = {"KV": {"Verb": "cas", "Key": f"{name}/b", "Value": value, "Index": 1}}
    gone = {"KV": {"Verb": "delete", "Key": f"{name}/a"}}
    with pytest.raises(errors.Conflict, match="index is stale"):
        await consul.put("/v1/txn", [gone, stale])
    assert await kv.keys(consul, name) == (f"{name}/a", f"{name}/b")


async def test_a_transaction_reads_what_it_wrote(consul: Consul, name: str) -> None:
    value = base64.b64encode(b"v").decode()
    body = [
        {"KV": {"Verb": "set", "Key": name, "Value": value}},
        {"KV": {"Verb": "get", "Key": name}},
        {"KV": {"Verb": "delete", "Key": name}},
        {"KV": {"Verb": "check-not-exists", "Key": name}},
    ]
    results = (await consul.put("/v1/txn", body)).json()["Results"]
    assert [result["KV"]["Value"] for result in results] == [None, value]


async def test_a_transaction_has_at_most_64_operations(consul: Consul, name: str) -> None:
    body = [{"KV": {"Verb": "set", "Key": f"{name}/{number}", "Value": ""}} for number in range(65)]
    with pytest.raises(errors.Invalid):
        await consul.put("/v1/txn", body)
