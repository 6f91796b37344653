"""This terminal, connected to a command that runs elsewhere. Frames as `api/instances.py` describes them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from pierhead.client import error_of
from pierhead.kit import errors, tasks

_INPUT, _SIZE, _END_OF_INPUT = b"\x00", b"\x01", b"\x02"
_STDOUT, _STDERR, _ENDED, _ERROR = 1, 2, 3, 4
_CHUNK = 1 << 16


async def connect(socket: aiohttp.ClientWebSocketResponse, *, interactive: bool) -> int:
    """Carries input and output until the command has ended; returns its exit code.

    Raises: what the server says went wrong, Unavailable when the connection broke first.
    """
    with _raw(interactive):
        forwarder = _Forwarder(socket)
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, forwarder.resize)
        ended: list[int] = []

        async def output() -> None:
            ended.append(await _output(socket))

        await tasks.unless(forwarder.run(), output())
    return ended[0]


class _Forwarder:
    """What this terminal says to the other end."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._resized = asyncio.Event()

    async def run(self) -> None:
        """Forwards until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sizes())
            group.create_task(self.input())

    def resize(self) -> None:
        self._resized.set()

    async def sizes(self) -> None:
        while True:
            await self._resized.wait()
            self._resized.clear()
            size = shutil.get_terminal_size()
            body = json.dumps({"rows": size.lines, "columns": size.columns})
            await self._socket.send_bytes(_SIZE + body.encode())

    async def input(self) -> None:
        """Reads without a thread, so that the end of the command is not held up by a read that waits for a key.

        Reads only where the loop has just found something to read: the terminal is shared with the shell that this was
        started from, so it stays blocking.
        """
        loop, handle = asyncio.get_running_loop(), sys.stdin.fileno()
        typed: asyncio.Queue[bytes] = asyncio.Queue()
        try:
            loop.add_reader(handle, lambda: typed.put_nowait(os.read(handle, _CHUNK)))
        except PermissionError:  # a file or /dev/null: always ready
            await self._all(handle)
            return
        try:
            while data := await typed.get():
                await self._socket.send_bytes(_INPUT + data)
        finally:
            loop.remove_reader(handle)
        await self._socket.send_bytes(_END_OF_INPUT)

    async def _all(self, handle: int) -> None:
        while data := os.read(handle, _CHUNK):
            await self._socket.send_bytes(_INPUT + data)
        await self._socket.send_bytes(_END_OF_INPUT)


async def _output(socket: aiohttp.ClientWebSocketResponse) -> int:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            continue
        kind, data = message.data[0], message.data[1:]
        if kind in (_STDOUT, _STDERR):
            stream = sys.stdout if kind == _STDOUT else sys.stderr
            stream.buffer.write(data)
            stream.buffer.flush()
        elif kind == _ENDED:
            return int(json.loads(data)["exit_code"])
        elif kind == _ERROR:
            raise error_of(json.loads(data))
    raise errors.Unavailable("The connection ended before the command did.", hint="`pier ps` shows whether it runs.")


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
