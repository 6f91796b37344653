"""A DNS server on one port, UDP and TCP. Source: RFC 1035 §4.2, RFC 7766 (TCP)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from pierhead.kit import errors

log = logging.getLogger(__name__)

Later = Coroutine[Any, Any, bytes | None]
Handle = Callable[[bytes, str, bool], bytes | Later | None]
"""Message, address of the asker, over TCP → the answer, its coroutine when it takes time, None for none."""

_RECEIVE_BYTES = 1 << 20
_CONNECTIONS = 200
_WAITING = 1000
"""Answers that take time, at once; the message after that is dropped, as a full socket would."""
_IDLE = timedelta(seconds=10)
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


@asynccontextmanager
async def serving(host: str, port: int, handle: Handle) -> AsyncIterator[Address]:
    """Questions are answered at the address that is yielded; `port` 0: any that is free for both.

    Raises: Unavailable (the port is taken, or not allowed).
    """
    tcp, udp = _sockets(host, port)
    chosen: int = tcp.getsockname()[1]
    async with asyncio.TaskGroup() as group:
        answering = _Answering(handle, group)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(answering), sock=udp)
        server = await asyncio.start_server(answering.connection, sock=tcp, backlog=256)
        try:
            yield Address(host, chosen)
        finally:
            transport.close()
            server.close()
            answering.end()


class _Answering:
    def __init__(self, handle: Handle, group: asyncio.TaskGroup) -> None:
        self.handle = handle
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[Any]] = set()

    def later(self, work: Later, send: Callable[[bytes], None]) -> None:
        """`send` is called with what `work` comes to, unless too much is waited for already."""
        if len(self._tasks) >= _WAITING:
            work.close()
            return
        task = self._group.create_task(_send(work, send))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one message after the other, until the asker ends or says nothing."""
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                await self._converse(reader, writer)
        except asyncio.CancelledError:  # by `end`: nobody awaits this task, and asyncio would log it as an error
            log.debug("Closed a connection that was open at the end.")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: str = writer.get_extra_info("peername")[0]
        while True:
            async with asyncio.timeout(_IDLE.total_seconds()):
                data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            answer = self.handle(data, peer, True)
            if answer is not None and not isinstance(answer, bytes):
                answer = await answer
            if answer is None:
                return
            writer.write(len(answer).to_bytes(2, "big") + answer)
            await writer.drain()

    def end(self) -> None:
        for task in [*self._tasks, *self._connections]:
            task.cancel()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answering: _Answering) -> None:
        self._answering = answering
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, peer: tuple[str | Any, int]) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        answer = self._answering.handle(data, peer[0], False)
        if isinstance(answer, bytes):
            transport.sendto(answer, peer)
        elif answer is not None:
            self._answering.later(answer, lambda found: transport.sendto(found, peer))

    def error_received(self, exc: Exception) -> None:
        log.debug("An answer did not arrive.", extra={"reason": str(exc)})


async def _send(work: Later, send: Callable[[bytes], None]) -> None:
    answer = await work
    if answer is not None:
        with contextlib.suppress(OSError):
            send(answer)


def _sockets(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on the same port."""
    for tries_left in range(_TRIES if port == 0 else 1, 0, -1):
        tcp = _bound(host, port, socket.SOCK_STREAM)
        try:
            udp = _bound(host, tcp.getsockname()[1], socket.SOCK_DGRAM)
        except errors.Unavailable:
            tcp.close()
            if tries_left == 1:
                raise
            continue
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        return tcp, udp
    raise errors.Unavailable(f"No port of {host} is free for both UDP and TCP.")


def _bound(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, kind)
    try:
        if kind is socket.SOCK_STREAM:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setblocking(False)
        found.bind((host, port))
    except OSError as error:
        found.close()
        name = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
        raise errors.Unavailable(
            f"The resolver cannot listen on {host} {name} port {port}: {error.strerror or error}",
            hint="Stop what listens there, or change resolver.host and resolver.port; below 1024 takes root.",
        ) from error
    return found
