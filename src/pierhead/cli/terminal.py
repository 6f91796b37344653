"""This terminal, connected to a command that runs elsewhere, also over connections that break meanwhile.

The messages are those of `wire.channel.terminal`. What was sent is kept until the other end has taken it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

import aiohttp

from pierhead.client import Api, error_of, socket
from pierhead.kit import errors, tasks
from pierhead.kit.backoff import Backoff
from pierhead.wire.channel import terminal
from pierhead.wire.channel.terminal import INPUT_WINDOW, Heard, Kept, Said

_CHUNK = 1 << 14
_OUTPUT_STEP = 32 << 10
"""How much is shown before the other end is told."""
_RETRY = timedelta(seconds=2)


class _CutOff(errors.Unavailable):
    """The connection ended before the command did."""


def leave_politely() -> None:
    """Whoever closes the window or ends this program says so to the server: the command ends at once."""
    task = asyncio.current_task()
    for number in (signal.SIGHUP, signal.SIGTERM):
        if task:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def run(
    api: Api, path: str, query: Sequence[tuple[str, str]], *, interactive: bool, out: TextIO | None = None
) -> int:
    """Carries input and output (to `out`: standard output) until the command has ended; returns its exit code.

    Raises: what the server says went wrong, Unavailable when the connection broke and did not come back in time.
    """
    with _raw(interactive):
        return await _Watch(api, path, query, out or sys.stdout).run()


class _Watch:
    def __init__(self, api: Api, path: str, query: Sequence[tuple[str, str]], out: TextIO) -> None:
        self._api, self._path, self._query, self._out = api, path, list(query), out
        self._news = tasks.Signal()
        self._input = _Input(self._news)
        self._session, self._limit_seconds = "", 0.0
        self._shown = 0
        self._exit_code = 0
        self._is_resized = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, self._resize)
        try:
            return await self._until_ended()
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
            self._input.stop()

    async def _until_ended(self) -> int:
        loop, backoff, deadline = asyncio.get_running_loop(), Backoff(limit=_RETRY), 0.0
        while True:
            try:
                async with socket.opened(self._api, self._path, self._asked()) as channel:
                    await self._watch(channel)
                    return self._exit_code
            except errors.Unavailable as error:
                is_new = isinstance(error, _CutOff)
                deadline = loop.time() + self._limit_seconds if is_new or not deadline else deadline
                if not self._session or loop.time() > deadline:
                    raise
                if not is_new:
                    self._say(error)
                await asyncio.sleep(backoff.failed())

    def _asked(self) -> list[tuple[str, str]]:
        resumed = [("session", self._session), ("output", str(self._shown))]
        return self._query + (resumed if self._session else [])

    async def _watch(self, channel: aiohttp.ClientWebSocketResponse) -> None:
        """Until the command has ended. Raises: _CutOff, what the server says."""
        place: asyncio.Queue[int] = asyncio.Queue()
        await tasks.unless(self._send(channel, place), self._show(channel, place))

    async def _send(self, channel: aiohttp.ClientWebSocketResponse, begin: asyncio.Queue[int]) -> None:
        """Until it is cancelled. The other end says first how much it has already."""
        place, is_end_told, told = await begin.get(), False, self._shown
        self._input.start()
        while True:
            for _, data in self._input.kept.after(place):
                await channel.send_bytes(bytes([Said.INPUT]) + data)
                place += len(data)
            if self._input.has_ended and place == self._input.kept.end and not is_end_told:
                is_end_told = True
                await channel.send_bytes(bytes([Said.END_OF_INPUT]))
            if self._is_resized:
                self._is_resized = False
                size = shutil.get_terminal_size()
                await channel.send_bytes(terminal.message(Said.SIZE, rows=size.lines, columns=size.columns))
            if self._shown - told >= _OUTPUT_STEP:
                told = self._shown
                await channel.send_bytes(terminal.message(Said.TAKEN, output=told))
            await self._news.wait()

    async def _show(self, channel: aiohttp.ClientWebSocketResponse, begin: asyncio.Queue[int]) -> None:
        async for message in channel:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            kind, data = message.data[0], message.data[1:]
            match kind:
                case Heard.STDOUT | Heard.STDERR:
                    self._write(self._out if kind == Heard.STDOUT else sys.stderr, data)
                case Heard.SESSION:
                    self._begin(data)
                    begin.put_nowait(terminal.read(data, "input")[0])
                case Heard.TAKEN:
                    self._input.taken(terminal.read(data, "input")[0])
                case Heard.ENDED:
                    self._exit_code = terminal.read(data, "exit_code")[0]
                    return
                case Heard.ERROR:
                    raise error_of(json.loads(data))
        raise _CutOff(hint="`pier ps` shows whether the instance runs.")

    def _begin(self, data: bytes) -> None:
        value = json.loads(data)
        if self._session:
            self._resize()  # while nobody was there
        self._session, self._limit_seconds = value["session"], value["limit_seconds"]

    def _write(self, stream: object, data: bytes) -> None:
        buffer = stream.buffer  # type: ignore[attr-defined]
        buffer.write(data)
        buffer.flush()
        self._shown += len(data)
        self._news.set()

    def _resize(self) -> None:
        self._is_resized = True
        self._news.set()

    def _say(self, error: errors.PierError) -> None:
        sys.stderr.write(f"\r\n[pier: {error.message} Trying to go on.]\r\n")
        sys.stderr.flush()


class _Input:
    """What is typed or piped in: read as fast as the other end takes it, and kept until it has.

    Read without a thread, so that the end of the command is not held up by a read that waits for a key; and only where
    the loop has just found something to read: the terminal is shared with the shell that this was started from, so it
    stays blocking.
    """

    def __init__(self, news: tasks.Signal) -> None:
        self.kept = Kept()
        self.has_ended = False
        self._news, self._handle = news, sys.stdin.fileno()
        self._taken = 0
        self._is_watched = self._is_file = False

    def start(self) -> None:
        """Reads on, if there is room."""
        if self._is_watched or self._is_file or self.has_ended:
            return
        try:
            asyncio.get_running_loop().add_reader(self._handle, self._read)
            self._is_watched = True
        except PermissionError:  # a file or /dev/null: always ready
            self._is_file = True
            self._read_file()

    def stop(self) -> None:
        if self._is_watched:
            asyncio.get_running_loop().remove_reader(self._handle)
            self._is_watched = False

    def taken(self, place: int) -> None:
        self._taken = place
        self.kept.taken(place)
        if self._is_file:
            self._read_file()
        else:
            self.start()

    @property
    def _room(self) -> int:
        return min(_CHUNK, INPUT_WINDOW - (self.kept.end - self._taken))

    def _read(self) -> None:
        data = os.read(self._handle, self._room)
        self.kept.add(Said.INPUT, data)
        self.has_ended = not data
        if self.has_ended or not self._room:
            self.stop()
        self._news.set()

    def _read_file(self) -> None:
        while self._room and not self.has_ended:
            self._read()


@contextmanager
def _raw(interactive: bool) -> Iterator[None]:
    """Keys go through as they are pressed; the terminal is as it was afterwards."""
    if not interactive:
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
