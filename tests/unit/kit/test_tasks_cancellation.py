"""A wait that is cancelled in the moment in which it is fulfilled is cancelled."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pierhead.kit import tasks


@pytest.mark.parametrize("kind", [tasks.Signal, tasks.Broadcast])
async def test_a_cancellation_is_never_lost(kind: type[tasks.Signal | tasks.Broadcast]) -> None:
    signal = kind()

    async def listen() -> None:
        while True:
            await signal.wait(timedelta(hours=1))

    async with asyncio.TaskGroup() as group:
        listener = group.create_task(listen())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        signal.set()
        listener.cancel()
        done, _ = await asyncio.wait({listener}, timeout=5)
        listener.cancel()
    assert done == {listener}


async def test_what_must_be_whole_ends_before_its_cancellation_goes_on() -> None:
    begun, done = asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done.append("written")

    task = asyncio.get_running_loop().create_task(tasks.whole(work()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["written"]
