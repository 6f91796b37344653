"""The parts of one process: each is kept running, and what is wrong with it can be read.

A part that dies is started again, for ever, after a wait that grows. It is never given up and its failure is never
hidden: the board says what happened, since when, and what to do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from pierhead.kit import clock, errors, files, tasks
from pierhead.kit.backoff import Backoff

log = logging.getLogger(__name__)

STEADY = timedelta(seconds=30)
"""A part that ran this long had started well: its next failure is a new one."""
STOP_PATIENCE = timedelta(seconds=8)
"""How long one part may take to stop in order, before it is asked again."""
STOP_TRIES = 2


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    """It works, but not all of it."""
    FAILED = "failed"
    """It died and is started again soon."""
    STOPPED = "stopped"

    @property
    def works(self) -> bool:
        return self in (State.READY, State.DEGRADED)


@dataclass(frozen=True, slots=True)
class Status:
    """One part, as a person reads it."""

    name: str
    state: State
    since: datetime
    detail: str = ""
    """Where it is reached when it works; what it waits for while it starts."""
    problem: str = ""
    """What is wrong; while it starts again: what went wrong last."""
    hint: str = ""
    restarts: int = 0


class Board:
    """What every part says of itself now. Read by whoever likes; written through a `Report`."""

    def __init__(self, names: Sequence[str], now: Callable[[], datetime] = clock.now) -> None:
        self.changed = tasks.Broadcast()
        self._now = now
        self._status = {name: Status(name, State.STARTING, now()) for name in names}

    def read(self) -> tuple[Status, ...]:
        return tuple(self._status.values())

    def of(self, name: str) -> Status:
        """Raises: KeyError."""
        return self._status[name]

    def put(self, status: Status) -> None:
        """`since` moves only when the state does."""
        before = self._status[status.name]
        moved = before.state is not status.state
        self._status[status.name] = replace(status, since=self._now() if moved else before.since)
        if moved:
            level = logging.WARNING if status.state in (State.FAILED, State.DEGRADED) else logging.INFO
            log.log(level, "The part %s is %s.", status.name, status.state, extra=_fields(status))
        self.changed.set()

    async def until_works(self, names: Sequence[str]) -> None:
        """Every part of those names has become ready, or at least degraded."""
        while not all(self.of(name).state.works for name in names):
            await self.changed.wait(timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Report:
    """What a part is given to say how it is."""

    board: Board
    name: str

    def starting(self, detail: str) -> None:
        self._put(State.STARTING, detail=detail)

    def ready(self, detail: str = "") -> None:
        self._put(State.READY, detail=detail, problem="", hint="")

    def degraded(self, problem: str, hint: str = "") -> None:
        self._put(State.DEGRADED, problem=problem, hint=hint)

    def failed(self, error: BaseException) -> None:
        cause = _cause(error)
        text, hint = (cause.message, cause.hint) if isinstance(cause, errors.PierError) else (_text(cause), "")
        self._put(State.FAILED, problem=text, hint=hint, detail="")

    def again(self) -> None:
        self._put(State.STARTING, restarts=self.board.of(self.name).restarts + 1)

    def stopped(self) -> None:
        self._put(State.STOPPED, detail="", problem="", hint="")

    def _put(self, state: State, **changes: Any) -> None:
        self.board.put(replace(self.board.of(self.name), state=state, **changes))


@dataclass(frozen=True, slots=True)
class Part:
    """`run(report)` does its work until it is cancelled, and says through `report` when it is ready."""

    name: str
    run: Callable[[Report], Awaitable[None]]
    needs: tuple[str, ...] = ()
    """Parts that must work before this one is started the first time."""


@dataclass(slots=True)
class Supervisor:
    """Runs parts. They are given in an order in which each comes after what it needs."""

    parts: Sequence[Part]
    board: Board
    backoff: Callable[[], Backoff] = Backoff
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Every part is kept running until this is cancelled; then they have stopped, last one first."""
        async with asyncio.TaskGroup() as group:
            for part in self.parts:
                self._tasks[part.name] = group.create_task(self._keep(part), name=part.name)
            try:
                await asyncio.Event().wait()
            finally:
                for part in reversed(self.parts):
                    await self.retire(part.name)

    async def retire(self, name: str) -> None:
        """The part of that name has stopped and is not started again."""
        task = self._tasks.get(name)
        if task is None:
            return
        for _ in range(STOP_TRIES):
            task.cancel()
            _, late = await asyncio.wait({task}, timeout=STOP_PATIENCE.total_seconds())
            if not late:
                return
        log.warning("The part %s does not stop.", name)

    async def _keep(self, part: Part) -> None:
        report, backoff, loop = Report(self.board, part.name), self.backoff(), asyncio.get_running_loop()
        try:
            if part.needs:
                report.starting(f"waits for {', '.join(part.needs)}")
                await self.board.until_works(part.needs)
            while True:
                report.starting("")
                started = loop.time()
                await self._once(part, report)
                if loop.time() - started > STEADY.total_seconds():
                    backoff.succeeded()
                await asyncio.sleep(backoff.failed())
                report.again()
        finally:
            report.stopped()

    async def _once(self, part: Part, report: Report) -> None:
        """The part has run and died, for whatever reason. The one place that catches everything."""
        try:
            await part.run(report)
        except errors.PierError as error:
            report.failed(error)
        except (Exception, SystemExit) as error:
            if not isinstance(_cause(error), errors.PierError):
                log.exception("The part %s died.", part.name)
            report.failed(error)
        else:
            report.failed(errors.Broken("it ended by itself"))


async def publish(board: Board, path: Path, about: Mapping[str, Any]) -> None:
    """`path` says at every moment what the board says, until this is cancelled; then too."""

    def write() -> None:
        text = json.dumps(document(board, about), indent=2, ensure_ascii=False)
        files.replace(path, text + "\n", durable=False)

    try:
        while True:
            write()
            await board.changed.wait(timedelta(hours=1))
    finally:
        write()


def document(board: Board, about: Mapping[str, Any]) -> dict[str, Any]:
    """The board in the shapes of JSON, with what else a reader needs to know; `read` is the way back."""
    parts = [
        {
            "name": status.name,
            "state": status.state.value,
            "since": clock.text(status.since),
            "detail": status.detail,
            "problem": status.problem,
            "hint": status.hint,
            "restarts": status.restarts,
        }
        for status in board.read()
    ]
    return {"pid": os.getpid(), **about, "parts": parts}


def read(parts: Sequence[Mapping[str, Any]]) -> tuple[Status, ...]:
    """The statuses that the `parts` of a document hold."""
    return tuple(
        Status(**{**part, "state": State(part["state"]), "since": clock.parse(part["since"])}) for part in parts
    )


def _cause(error: BaseException) -> BaseException:
    """The first error inside a group that says something."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _fields(status: Status) -> dict[str, str]:
    return {key: value for key in ("detail", "problem") if (value := getattr(status, key))}
