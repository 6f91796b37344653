"""Short conversations over TCP that cost little: what the agent does most is to ask endpoints whether they are well.

A stream, or a task and a registration with the loop's selector for each connection, costs several times as much. So all
connections share one epoll, which the loop watches; and the question is sent right after connecting, because on one
machine the connection is there by then.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from errno import EINPROGRESS

_CHUNK, _MOST = 1 << 14, 1 << 16
"""Who says more than that is not listened to any longer."""


@dataclass(frozen=True, slots=True)
class Question:
    address: str
    port: int
    data: bytes
    """Sent once connected; may be empty."""
    is_enough: Callable[[bytes], bool]
    """Whether what was heard so far answers it."""
    patience: timedelta
    """How long the other side may still finish and close after that."""


@dataclass(frozen=True, slots=True)
class Heard:
    data: bytes
    is_closed: bool
    """By the other side."""


class Lines:
    """Used inside `opened`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._all: dict[int, _Line] = {}

    async def ask(self, question: Question) -> Heard:
        """What the other side said, once that is enough or it has closed. Raises: OSError (no connection, broken)."""
        line = _Line(self._loop, question)
        try:
            if mask := line.begin():
                self._all[line.handle] = line
                self._epoll.register(line.handle, mask | select.EPOLLET)
            return await line.heard
        finally:
            self._all.pop(line.handle, None)
            line.end()

    def look(self) -> None:
        """Every connection that has something to tell goes on."""
        for handle, _ in self._epoll.poll(0):
            if line := self._all.get(handle):
                line.go_on()

    def open(self) -> None:
        self._loop.add_reader(self._epoll.fileno(), self.look)

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()


@contextmanager
def opened() -> Iterator[Lines]:
    """Lines of the running loop; no question may be open at the end."""
    lines = Lines()
    lines.open()
    try:
        yield lines
    finally:
        lines.close()


class _Line:
    __slots__ = ("_data", "_is_sent", "_loop", "_question", "_socket", "_timer", "handle", "heard")

    def __init__(self, loop: asyncio.AbstractEventLoop, question: Question) -> None:
        family = socket.AF_INET6 if ":" in question.address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._loop, self._question = loop, question
        self._data, self._is_sent = b"", False
        self._timer: asyncio.TimerHandle | None = None
        self.handle = self._socket.fileno()
        self.heard: asyncio.Future[Heard] = loop.create_future()

    def begin(self) -> int:
        """What has to be waited for; 0 when it is over already."""
        code = self._socket.connect_ex((self._question.address, self._question.port))
        if code not in (0, EINPROGRESS):
            self._fail(OSError(code, os.strerror(code)))
            return 0
        if self._question.data:
            try:
                self._socket.send(self._question.data)
                self._is_sent = True
            except BlockingIOError:
                return select.EPOLLIN | select.EPOLLOUT
            except OSError as error:
                self._fail(error)
                return 0
            return select.EPOLLIN
        return select.EPOLLIN | select.EPOLLOUT

    def go_on(self) -> None:
        """As far as is possible now."""
        if self.heard.done():
            return
        try:
            if not self._is_sent:
                self._send()
            while len(self._data) < _MOST and (data := self._socket.recv(_CHUNK)):
                self._data += data
            self._finish(is_closed=len(self._data) < _MOST)
        except BlockingIOError:
            if self._is_sent and self._timer is None and self._question.is_enough(self._data):
                self._timer = self._loop.call_later(self._question.patience.total_seconds(), self._finish)
        except OSError as error:
            self._fail(error)

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._socket.close()

    def _send(self) -> None:
        """Raises: OSError (it is not connected)."""
        if code := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        if self._question.data:
            self._socket.send(self._question.data)
        self._is_sent = True

    def _finish(self, *, is_closed: bool = False) -> None:
        if not self.heard.done():
            self.heard.set_result(Heard(self._data, is_closed))

    def _fail(self, error: OSError) -> None:
        self.heard.set_exception(error)
