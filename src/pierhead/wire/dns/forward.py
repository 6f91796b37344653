"""A question passed on to another DNS server as it is."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from pierhead.kit import errors
from pierhead.wire.dns import message


@dataclass(frozen=True, slots=True)
class Upstream:
    address: str
    port: int = 53


async def ask(upstream: Upstream, query: bytes, *, tcp: bool, timeout: timedelta = timedelta(seconds=2)) -> bytes:
    """The upstream's answer with the query's id. UDP is tried twice, each time from another port with another id.

    Raises: Unavailable.
    """
    for _ in range(1 if tcp else 2):
        changed = secrets.token_bytes(2) + query[2:]
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                answer = await (_over_tcp(upstream, changed) if tcp else _over_udp(upstream, changed))
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            continue
        if message.answers(answer, changed):
            return query[:2] + answer[2:]
    raise errors.Unavailable(f"The DNS server {upstream.address}:{upstream.port} does not answer.")


async def _over_tcp(upstream: Upstream, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(upstream.address, upstream.port)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        await writer.drain()
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _over_udp(upstream: Upstream, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    remote = (upstream.address, upstream.port)
    transport, _ = await loop.create_datagram_endpoint(lambda: _Awaiting(query, answer), remote_addr=remote)
    try:
        transport.sendto(query)
        return await answer
    finally:
        transport.close()


class _Awaiting(asyncio.DatagramProtocol):
    """The first datagram that answers the query; others are somebody's attempt at deception."""

    def __init__(self, query: bytes, answer: asyncio.Future[bytes]) -> None:
        self._query = query
        self._answer = answer

    def datagram_received(self, data: bytes, peer: tuple[str | object, int]) -> None:
        if not self._answer.done() and message.answers(data, self._query):
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)
