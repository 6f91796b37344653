"""Parts are kept running, wait for what they need, stop in order, and tell what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from pierhead.boot import supervise
from pierhead.boot.supervise import Part, Report, State, Supervisor
from pierhead.kit import errors
from pierhead.kit.backoff import Backoff

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def soon() -> Backoff:
    return Backoff(first=timedelta(milliseconds=1), limit=timedelta(milliseconds=1))


@asynccontextmanager
async def supervised(*parts: Part) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(parts, supervise.Board([part.name for part in parts]), backoff=soon)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run())
        yield supervisor
        task.cancel()


async def until(board: supervise.Board, condition: Callable[[], bool]) -> None:
    while not condition():
        await board.changed.wait(timedelta(seconds=5))


async def steady(report: Report) -> None:
    report.ready("127.0.0.1:1")
    await asyncio.Event().wait()


async def test_a_part_waits_for_what_it_needs() -> None:
    gate = asyncio.Event()

    async def slow(report: Report) -> None:
        await gate.wait()
        await steady(report)

    async with supervised(Part("engine", slow), Part("registry", steady, needs=("engine",))) as supervisor:
        board = supervisor.board
        await until(board, lambda: board.of("registry").detail != "")
        assert board.of("registry").state is State.STARTING
        assert board.of("registry").detail == "waits for engine"
        gate.set()
        await board.until_works(["registry"])
        assert board.of("registry").detail == "127.0.0.1:1"


async def test_a_part_that_dies_is_started_again_and_reported() -> None:
    lives = iter([errors.Unavailable("no engine", hint="start it"), ValueError("odd"), None])
    seen = []

    async def fragile(report: Report) -> None:
        if error := next(lives):
            raise error
        seen.append(report.board.of("agent"))
        await steady(report)

    async with supervised(Part("agent", fragile)) as supervisor:
        await supervisor.board.until_works(["agent"])
        assert supervisor.board.of("agent").restarts == 2
        assert supervisor.board.of("agent").problem == ""
    assert seen[0].problem == "ValueError: odd"
    assert seen[0].hint == ""


@pytest.mark.parametrize(
    ("death", "problem", "hint"),
    [
        (errors.Unavailable("no engine", hint="start it"), "no engine", "start it"),
        (
            ExceptionGroup("", [ExceptionGroup("", [errors.Conflict("taken", hint="use another")])]),
            "taken",
            "use another",
        ),
        (SystemExit(1), "SystemExit: 1", ""),
        (ValueError(), "ValueError", ""),
        (None, "it ended by itself", ""),
    ],
)
async def test_every_kind_of_death_is_told(death: BaseException | None, problem: str, hint: str) -> None:
    async def dying(report: Report) -> None:
        if death:
            raise death

    async with supervised(Part("agent", dying)) as supervisor:
        board = supervisor.board
        await until(board, lambda: board.of("agent").state is State.FAILED)
        assert (board.of("agent").problem, board.of("agent").hint) == (problem, hint)


async def test_one_death_leaves_the_others_alone() -> None:
    async def dying(report: Report) -> None:
        raise errors.Unavailable

    async with supervised(Part("gateway", steady), Part("agent", dying)) as supervisor:
        board = supervisor.board
        await until(board, lambda: board.of("agent").restarts > 2)
        assert board.of("gateway").state is State.READY
        assert board.of("gateway").restarts == 0


async def test_parts_stop_last_one_first() -> None:
    stopped = []

    def part(name: str) -> Part:
        async def run(report: Report) -> None:
            try:
                await steady(report)
            finally:
                stopped.append(name)

        return Part(name, run)

    async with supervised(part("engine"), part("catalog"), part("api")) as supervisor:
        await supervisor.board.until_works(["engine", "catalog", "api"])
    assert stopped == ["api", "catalog", "engine"]
    assert {status.state for status in supervisor.board.read()} == {State.STOPPED}


async def test_a_retired_part_stays_stopped() -> None:
    async with supervised(Part("agent", steady), Part("server", steady)) as supervisor:
        await supervisor.board.until_works(["agent", "server"])
        await supervisor.retire("server")
        assert supervisor.board.of("server").state is State.STOPPED
        assert supervisor.board.of("agent").state is State.READY


def test_since_moves_only_with_the_state() -> None:
    times = iter(NOON + timedelta(minutes=minute) for minute in range(9))
    board = supervise.Board(["gateway"], now=lambda: next(times))
    report = Report(board, "gateway")
    report.degraded("route a is invalid")
    since = board.of("gateway").since
    report.degraded("routes a and b are invalid")
    assert board.of("gateway").since == since
    report.ready()
    assert board.of("gateway").since > since
    assert board.of("gateway").problem == ""


def test_a_document_says_what_the_board_says() -> None:
    board = supervise.Board(["gateway", "agent"], now=lambda: NOON)
    Report(board, "gateway").degraded("route a is invalid", "see `pier routes`")
    value = json.loads(json.dumps(supervise.document(board, {"cluster": "pier"})))
    assert value["pid"] == os.getpid()
    assert value["cluster"] == "pier"
    assert supervise.read(value["parts"]) == board.read()
