"""The commands that run in this node's containers for somebody who watches: begun, gone on with, and ended.

Whoever is cut off has a limit to come back. Whoever leaves, or does not come back, leaves no process behind; not even
when the agent is killed, because what it had begun is in its data folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pierhead.agent import processes, shell
from pierhead.agent.terminal import Asked, Command
from pierhead.kit import errors, files, tasks
from pierhead.wire.channel.link import Stream
from pierhead.wire.docker import exec
from pierhead.wire.docker.client import Engine

log = logging.getLogger(__name__)

_MARK_BYTES, _NAME_BYTES = 8, 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands run and are remembered."""

    engine: Engine
    folder: Path
    node: str
    """The node's name: a session's name begins with it."""
    limit: timedelta
    """How long a command goes on without its watcher."""


class Terminals:
    def __init__(self, place: Place, crew: tasks.Crew) -> None:
        self._place, self._crew = place, crew
        self.engine = place.engine
        self._running: dict[str, Command] = {}
        self._expiries: dict[str, asyncio.Task[None]] = {}
        self._beginnings: dict[str, asyncio.Task[None]] = {}
        """By the name of the command."""

    async def serve(self, stream: Stream) -> None:
        """Begins the command that the stream's body asks for, once for each key, or goes on with its session.

        Raises: Invalid, NotFound (no such container, or no such session any more), Conflict, Unavailable.
        """
        if name := stream.body.get("session"):
            command, place = self._find(str(name)), int(stream.body.get("output", 0))
        else:
            command, place = await self._begun(stream.body), 0
        before, command.watcher = command.watcher, stream
        if before:
            before.close(errors.Conflict("The session goes on elsewhere.", hint="Only one can watch it."))
        if expiry := self._expiries.pop(command.name, None):
            expiry.cancel()
        try:
            await command.show(stream, place, self._place.limit.total_seconds())
        finally:
            self._watched(command, stream)

    async def sweep(self) -> None:
        """What an agent before this one had begun has ended."""
        for file in self._place.folder.glob("*.json"):
            container, exec_id = _remembered(file)
            log.info("Ends a command of the agent that ran before.", extra={"container": container[:12]})
            await self._end(container, file.stem, exec_id)

    async def close(self) -> None:
        """All have ended."""
        for command in list(self._running.values()):
            await self._end_command(command)

    # One command

    async def _begun(self, body: Mapping[str, Any]) -> Command:
        """A stream that is lost does not stop the beginning, and the next stream with its key finds it."""
        name = f"{self._place.node}.{body.get('key') or secrets.token_urlsafe(_NAME_BYTES)}"
        if name not in self._running:
            if name not in self._beginnings:
                self._beginnings[name] = self._crew.begin(self._begin(name, asked(body)), _report)
            await asyncio.shield(self._beginnings[name])
        return self._find(name)

    async def _begin(self, name: str, asked: Asked) -> None:
        """It runs, and has its limit to be watched."""
        try:
            command = self._running[name] = await self._started(name, asked)
        finally:
            del self._beginnings[name]
        self._crew.begin(command.run(), _report)
        self._expire_after(command, self._place.limit.total_seconds())

    async def _started(self, name: str, asked: Asked) -> Command:
        place, mark = self._place, secrets.token_hex(_MARK_BYTES)
        words = await shell.words(place.engine, asked.container, asked.words)
        exec_id = await exec.create(place.engine, asked.container, words, tty=asked.tty, env={processes.MARK: mark})
        place.folder.mkdir(parents=True, exist_ok=True)
        files.replace(self._file(mark), json.dumps({"container": asked.container, "exec": exec_id}))
        try:
            session = await exec.start(place.engine, exec_id, tty=asked.tty)
        except errors.PierError:
            self._file(mark).unlink(missing_ok=True)
            raise
        if asked.tty:
            with contextlib.suppress(errors.Refused):  # it has ended already
                await session.resize(asked.rows, asked.columns)
        return Command(name, asked.container, mark, session)

    def _find(self, name: str) -> Command:
        try:
            return self._running[name]
        except KeyError:
            raise errors.NotFound(
                "The session has ended.",
                hint="It was cut off for too long, or the node's agent was restarted. Begin a new one.",
            ) from None

    def _watched(self, command: Command, stream: Stream) -> None:
        """The watcher is gone: for good when it said so, else for as long as the limit."""
        if command.watcher is not stream:
            return
        command.watcher = None
        keep_seconds = self._place.limit.total_seconds()
        if stream.ended is not None:
            keep_seconds = min(keep_seconds, float(stream.ended.get("keep_seconds", 0)))
        self._expire_after(command, keep_seconds)

    def _expire_after(self, command: Command, seconds: float) -> None:
        self._expiries[command.name] = self._crew.begin(self._expire(command, seconds), _report)

    async def _expire(self, command: Command, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._expiries.pop(command.name, None)
        await self._end_command(command)

    async def _end_command(self, command: Command) -> None:
        self._running.pop(command.name, None)
        command.leave()
        if command.has_ended:
            self._file(command.mark).unlink(missing_ok=True)
        else:
            await self._end(command.container, command.mark, command.session.id)
        command.session.close()

    async def _end(self, container: str, mark: str, exec_id: str) -> None:
        pid = 0
        with contextlib.suppress(errors.PierError):
            pid = await exec.host_pid(self._place.engine, exec_id)
        if await processes.end(processes.Command(container, mark, pid)):
            self._file(mark).unlink(missing_ok=True)
        else:
            log.warning("A command could not be ended.", extra={"container": container[:12], "pid": pid})

    def _file(self, mark: str) -> Path:
        return self._place.folder / f"{mark}.json"


def asked(body: Mapping[str, Any]) -> Asked:
    """What a stream's body asks for. Raises: Invalid."""
    try:
        return Asked(
            container=str(body["container"]),
            words=tuple(map(str, body.get("words", ()))),
            tty=bool(body.get("tty")),
            rows=int(body.get("rows", 24)),
            columns=int(body.get("columns", 80)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise errors.Invalid(f"This is no command: {error!r}") from error


def _remembered(file: Path) -> tuple[str, str]:
    """Container and exec id; empty when the file was damaged: the mark, which is its name, is enough to find it."""
    try:
        value = json.loads(file.read_text())
        return str(value["container"]), str(value["exec"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def _report(error: BaseException | None) -> None:
    """What is wrong with a command is told to whoever asked for it; anything else is a fault of the agent."""
    if error is not None and not isinstance(error, errors.PierError):
        log.error("A command was not looked after to its end.", exc_info=error)
