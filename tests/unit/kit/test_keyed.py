from __future__ import annotations

import asyncio

import pytest

from pierhead.kit.keyed import Keyed


class Work:
    """Work that waits to be let go, and remembers what ran beside what."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.most = 0
        self.running = 0
        self.go = asyncio.Event()

    async def __call__(self, key: str) -> None:
        self.begun.append(key)
        self.running += 1
        self.most = max(self.most, self.running)
        await self.go.wait()
        self.running -= 1


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_submitted_meanwhile_runs_once_more_and_never_beside_itself() -> None:
    work = Work()
    async with asyncio.TaskGroup() as group:
        keyed = Keyed(group, work)
        keyed.submit("a")
        await _settled()
        for _ in range(5):
            keyed.submit("a")
        await _settled()
        assert work.begun == ["a"]
        work.go.set()
    assert (work.begun, work.most, keyed.pending) == (["a", "a"], 1, 0)


async def test_different_keys_are_worked_on_at_once_up_to_the_limit() -> None:
    work = Work()
    async with asyncio.TaskGroup() as group:
        keyed = Keyed(group, work, limit=3)
        for key in "abcde":
            keyed.submit(key)
        await _settled()
        assert work.begun == ["a", "b", "c"]
        work.go.set()
    assert (sorted(work.begun), work.most) == (["a", "b", "c", "d", "e"], 3)


async def test_a_failure_ends_the_group() -> None:
    async def fail(key: str) -> None:
        raise ValueError(key)

    with pytest.raises(ExceptionGroup) as failure:
        async with asyncio.TaskGroup() as group:
            Keyed(group, fail).submit("a")
    assert str(failure.value.exceptions[0]) == "a"
