"""A detached program is found again, and nobody else is ever taken for it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pierhead.kit import errors, process

EXIT = {"x86_64": 60, "aarch64": 93}
"""The system call that ends a thread."""
SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)",
)


def start(tmp_path: Path, argv: tuple[str, ...], name: str = "sleeper") -> process.Process:
    return process.start(name, argv, run=tmp_path / "run", log=tmp_path / f"{name}.log")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_what_was_started_is_adopted_until_it_is_stopped(tmp_path: Path) -> None:
    sleeper = start(tmp_path, SLEEP)
    assert process.adopt("sleeper", tmp_path / "run") == sleeper
    assert process.alive(tmp_path / "run") == [sleeper]
    await process.stop(sleeper)
    assert not process.is_alive(sleeper)
    assert process.adopt("sleeper", tmp_path / "run") is None
    assert list((tmp_path / "run").iterdir()) == []


async def test_what_it_writes_is_in_the_log(tmp_path: Path) -> None:
    talker = start(tmp_path, ("/bin/sh", "-c", "echo out; echo err >&2"), name="talker")
    assert await process.exited(talker) == 0
    assert (tmp_path / "talker.log").read_text() == "out\nerr\n"


async def test_the_exit_status_is_known(tmp_path: Path) -> None:
    assert await process.exited(start(tmp_path, ("/bin/sh", "-c", "exit 3"))) == 3
    killed = start(tmp_path, ("/bin/sh", "-c", "kill -9 $$"))
    assert await process.exited(killed) == -signal.SIGKILL


async def test_an_end_is_noticed_while_waiting(tmp_path: Path) -> None:
    sleeper = start(tmp_path, SLEEP)
    async with asyncio.TaskGroup() as group, asyncio.timeout(10):
        end = group.create_task(process.exited(sleeper))
        await process.stop(sleeper)
        assert await end in (None, -signal.SIGTERM)


async def test_the_dead_are_not_adopted_even_before_they_are_reaped(tmp_path: Path) -> None:
    short = start(tmp_path, ("/bin/true",))
    until(lambda: not process.is_alive(short))
    assert not process.runs(short.pid)
    assert process.adopt("sleeper", tmp_path / "run") is None
    assert await process.exited(short) == 0


def test_who_has_a_thread_left_has_not_ended(tmp_path: Path) -> None:
    only_the_first_ends = (
        "import ctypes, os, threading, time; threading.Thread(target=lambda: time.sleep(600)).start(); "
        f"ctypes.CDLL(None).syscall({EXIT[os.uname().machine]}, 0)"
    )
    half = start(tmp_path, (sys.executable, "-c", only_the_first_ends))
    until(lambda: Path(f"/proc/{half.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    assert process.is_alive(half)
    assert process.runs(half.pid)
    os.kill(half.pid, signal.SIGKILL)
    until(lambda: not process.is_alive(half))
    assert not process.runs(half.pid)


async def test_a_program_is_lost_when_nobody_stopped_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert not process.lost("sleeper", run)
    sleeper = start(tmp_path, SLEEP)
    assert not process.lost("sleeper", run)
    process.tell(sleeper, signal.SIGKILL)
    await process.exited(sleeper)
    assert process.lost("sleeper", run)
    record = run / "sleeper.process"
    record.write_text(json.dumps({**json.loads(record.read_text()), "started": "earlier/1"}))
    assert not process.lost("sleeper", run)


async def test_another_process_with_the_same_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = start(tmp_path, SLEEP)
    record = tmp_path / "run" / "sleeper.process"
    record.write_text(json.dumps({**json.loads(record.read_text()), "started": "earlier/1"}))
    assert process.adopt("sleeper", tmp_path / "run") is None
    mistaken = dataclasses.replace(stranger, started="earlier/1")
    assert await process.exited(mistaken) is None
    await process.stop(mistaken)
    assert process.is_alive(stranger)
    await process.stop(stranger)


async def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    stubborn = start(tmp_path, STUBBORN, name="stubborn")
    until(lambda: "ready" in (tmp_path / "stubborn.log").read_text())
    await process.stop(stubborn, patience=timedelta(milliseconds=50))
    assert not process.is_alive(stubborn)


async def test_a_newer_run_stays_remembered(tmp_path: Path) -> None:
    first = start(tmp_path, SLEEP)
    second = start(tmp_path, SLEEP)
    await process.stop(first)
    assert process.adopt("sleeper", tmp_path / "run") == second
    await process.stop(second)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="no-such-program is not installed"):
        start(tmp_path, ("no-such-program",))
    assert process.alive(tmp_path / "run") == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": "", "argv": []}'])
def test_a_damaged_record_is_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "sleeper.process").write_text(text)
    assert process.adopt("sleeper", tmp_path) is None


def test_the_caller_can_be_remembered_too(tmp_path: Path) -> None:
    me = process.myself("me", tmp_path)
    assert process.adopt("me", tmp_path) == me
    assert f"(pid {me.pid})" in process.describe(me.pid)
    process.forget(me)
    assert process.adopt("me", tmp_path) is None
