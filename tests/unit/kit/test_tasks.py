"""The shapes of concurrency: nothing is lost, nothing is left running."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pierhead.kit import tasks

FOREVER = 3600


async def test_a_signal_set_before_the_wait_is_not_lost_and_counts_once() -> None:
    signal = tasks.Signal()
    signal.set()
    signal.set()
    assert await signal.wait(timedelta(seconds=5))
    assert not await signal.wait(timedelta(milliseconds=1))


async def test_a_broadcast_wakes_all_that_wait() -> None:
    broadcast = tasks.Broadcast()
    async with asyncio.TaskGroup() as group:
        waiters = [group.create_task(broadcast.wait(timedelta(seconds=5))) for _ in range(3)]
        await asyncio.sleep(0)
        broadcast.set()
    assert [waiter.result() for waiter in waiters] == [True] * 3


async def test_work_that_ends_first_is_not_interrupted() -> None:
    assert await tasks.unless(asyncio.sleep(FOREVER), asyncio.sleep(0))


async def test_an_interruption_cancels_the_work_and_waits_for_its_clean_up() -> None:
    cleaned = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(FOREVER)
        finally:
            cleaned.set()

    assert not await tasks.unless(asyncio.sleep(0), work())
    assert cleaned.is_set()


async def test_what_the_work_raises_comes_through() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await tasks.unless(asyncio.sleep(FOREVER), work())


async def test_work_that_is_asked_to_end_may_end_in_its_own_way() -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await asked.wait()
        ended.set()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(tasks.ending(work(), asked.set, timedelta(seconds=5)))
        await asyncio.sleep(0)
        task.cancel()
    assert ended.is_set()
