"""A channel on a connection: streams to send on and to receive from, until the connection is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol

from pierhead.kit import errors, tasks
from pierhead.wire.channel import greeting
from pierhead.wire.channel.frames import LARGEST, Kind, encode, json_frame
from pierhead.wire.channel.mux import Closed, Dismissed, Mux, Opened, Received, Room

log = logging.getLogger(__name__)

PULSE = timedelta(seconds=5)
"""How often each end shows that it lives."""
_PULSES = 4
"""An end that says nothing for so many of them is taken for lost. They are counted, and not the time: a program that
was held up itself for long has no reason to think that of others."""


class Socket(Protocol):
    """A connection that carries binary messages."""

    async def send(self, message: bytes, /) -> None:
        """The message is on its way; waits while the other end does not read. Raises: Unavailable (lost)."""

    async def receive(self) -> bytes | None:
        """The next message; None when there will be none."""


class Lost(errors.Unavailable):
    """The connection between the server and the node was lost."""


class Stream:
    """One conversation. `body` is what it was opened with."""

    def __init__(self, link: Link, number: int, body: Mapping[str, Any]) -> None:
        self.body = body
        self.ended: Mapping[str, Any] | None = None
        """What the other end's last frame said, once it has come."""
        self.is_lost = False
        self._is_closed = False
        self._link, self._number = link, number
        self._inbox: deque[bytes] = deque()
        self._arrived, self._room = asyncio.Event(), asyncio.Event()

    async def send(self, message: bytes) -> None:
        """The message will be sent: at most 16 KiB; waits while the other end takes nothing.

        Raises: Lost, Conflict (the other end has closed the stream).
        """
        while not self._link.mux.has_room(self._number, len(message)):
            self._room.clear()
            self._check()
            await self._room.wait()
        self._check()
        self._link.mux.send(self._number, message)
        self._link.wake()

    async def send_all(self, data: bytes) -> None:
        """Like `send`, in as many messages as it takes."""
        for start in range(0, len(data), LARGEST):
            await self.send(data[start : start + LARGEST])

    async def receive(self) -> bytes | None:
        """The next message; None when either end has closed it. Raises: Lost, what the other end failed with."""
        while not self._inbox:
            if self._is_closed:
                return None
            if self.is_lost:
                raise Lost
            if self.ended is not None:
                if error := greeting.error_in(self.ended):
                    raise error
                return None
            self._arrived.clear()
            await self._arrived.wait()
        message = self._inbox.popleft()
        self._link.mux.taken(self._number, len(message))
        self._link.wake()
        return message

    def close(self, error: errors.PierError | None = None, **note: Any) -> None:
        """This end is done with it: what was sent before arrives first. Idempotent."""
        self._is_closed = True
        self._arrived.set()
        self._room.set()
        self._link.mux.close(self._number, {"error": errors.document(error)} if error else note)
        self._link.forget(self._number)
        self._link.wake()

    def arrived(self, message: bytes) -> None:
        self._inbox.append(message)
        self._arrived.set()

    def has_room(self) -> None:
        self._room.set()

    def end(self, body: Mapping[str, Any] | None) -> None:
        """The other end has closed it; None: the connection is lost."""
        self.ended, self.is_lost = body, body is None
        self._arrived.set()
        self._room.set()

    def _check(self) -> None:
        if self._is_closed:
            raise errors.Conflict("The stream is closed.")
        if self.is_lost:
            raise Lost
        if self.ended is not None:
            raise errors.Conflict("The other end has closed the stream.")


Serve = Callable[[Stream], Awaitable[None]]


class Link:
    """One end of a channel. The end without `serve` is the one that opens streams."""

    def __init__(self, socket: Socket, serve: Serve | None = None) -> None:
        self.mux = Mux(opens=serve is None)
        self._socket, self._serve = socket, serve
        self._streams: dict[int, Stream] = {}
        self._wake = tasks.Signal()
        self._is_heard = True
        """Since the last pulse."""
        self._dismissal: errors.PierError | None = None
        self._is_lost = False

    async def run(self) -> None:
        """Streams work until the connection is lost; then all of them are.

        Raises: Lost (the other end fell silent), Invalid (it broke the protocol), what the server dismissed us with.
        """
        try:
            async with tasks.Crew() as crew:
                await tasks.unless(self._watch(), self._carry(crew))
        finally:
            self._lose()

    def open(self, body: Mapping[str, Any]) -> Stream:
        """Raises: Lost (the connection is, or is given up), Unavailable (too many are open)."""
        if self._is_lost:
            raise Lost
        number = self.mux.open(body)
        stream = self._streams[number] = Stream(self, number, body)
        self.wake()
        return stream

    def dismiss(self, error: errors.PierError) -> None:
        """The other end is told why, and the connection ends; whoever uses a stream need not wait for that."""
        self._dismissal = error
        self._lose()
        self.wake()

    def wake(self) -> None:
        self._wake.set()

    def forget(self, number: int) -> None:
        self._streams.pop(number, None)

    def _lose(self) -> None:
        self._is_lost = True
        for stream in self._streams.values():
            stream.end(None)
        self._streams.clear()

    async def _carry(self, crew: tasks.Crew) -> None:
        await tasks.unless(self._send(), self._receive(crew))

    async def _send(self) -> None:
        while not self._dismissal:
            while message := self.mux.next():
                await self._socket.send(message)
            await self._wake.wait()
        await self._socket.send(encode(json_frame(Kind.REFUSED, 0, {"error": errors.document(self._dismissal)})))

    async def _receive(self, crew: tasks.Crew) -> None:
        while (message := await self._socket.receive()) is not None:
            self._is_heard = True
            event = self.mux.receive(message)
            if isinstance(event, Opened):
                self._begin(crew, event)
            elif isinstance(event, Dismissed):
                raise event.error
            elif event:
                self._tell(event)
            self.wake()

    def _tell(self, event: Received | Room | Closed) -> None:
        stream = self._streams.get(event.stream)
        if isinstance(event, Closed):
            self.forget(event.stream)
            self.mux.close(event.stream, {})
        if stream is None:
            return
        match event:
            case Received():
                stream.arrived(event.data)
            case Room():
                stream.has_room()
            case Closed():
                stream.end(event.body)

    def _begin(self, crew: tasks.Crew, event: Opened) -> None:
        stream = self._streams[event.stream] = Stream(self, event.stream, event.body)

        def ended(error: BaseException | None) -> None:
            if error is not None and not isinstance(error, errors.PierError):
                log.error("A stream could not be served.", exc_info=error, extra={"kind": event.body.get("kind")})
                error = errors.Broken(f"The node's agent failed: {error!r}", hint="Its log says where.")
            stream.close(error)

        if self._serve:
            crew.begin(_awaited(self._serve(stream)), ended)

    async def _watch(self) -> None:
        """Ends by raising when the other end says nothing."""
        missed = 0
        while missed < _PULSES:
            await asyncio.sleep(PULSE.total_seconds())
            missed = 0 if self._is_heard else missed + 1
            self._is_heard = False
            self.mux.ping()
            self.wake()
        raise Lost(f"Nothing was heard for {missed * PULSE.total_seconds():.0f} s.")


async def _awaited(work: Awaitable[None]) -> None:
    await work
