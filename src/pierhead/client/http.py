"""HTTP/1.1 for programs that ask a few things and end: h11 says what the bytes mean, asyncio carries them.

Each request has a connection of its own, so that none is sent on one that the server has just given up. Larger
libraries take longer to load than such a program to work.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import h11

from pierhead.kit import tasks

CONNECT = timedelta(seconds=5)
_CHUNK = 1 << 16


class NoAnswer(Exception):
    """The server was not reached, or its answer broke off."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    """Behind the server's address. What a path cannot hold is escaped."""
    query: Sequence[tuple[str, str]] = ()
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Path = b""
    """The bytes, or the file that holds them."""
    silence: timedelta | None = timedelta(seconds=60)
    """How long the server may say nothing. None: for ever."""

    @property
    def target(self) -> str:
        return quote(self.path, safe="/%:@!$&'()*+,;=~") + (f"?{urlencode(self.query)}" if self.query else "")

    @property
    def size_bytes(self) -> int:
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    def pieces(self) -> Iterator[bytes]:
        if not isinstance(self.body, Path):
            yield self.body
            return
        with self.body.open("rb") as file:
            while piece := file.read(_CHUNK):
                yield piece


class Response:
    """Raises, whatever is asked of it: NoAnswer."""

    def __init__(self, connection: _Connection, head: h11.Response) -> None:
        self._connection = connection
        self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        self.location = dict(head.headers).get(b"location", b"").decode("latin-1")

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])

    async def lines(self) -> AsyncIterator[str]:
        """As they come, without their ends."""
        rest = bytearray()
        async for piece in self.pieces():
            begin = len(rest)
            rest += piece
            if (end := rest.rfind(b"\n", begin) + 1) > 0:
                whole = rest[: end - 1]
                del rest[:end]
                for line in whole.split(b"\n"):
                    yield line.decode()
        if rest:
            yield rest.decode()

    async def pieces(self) -> AsyncIterator[bytes]:
        while isinstance(event := await self._connection.event(), h11.Data):
            yield bytes(event.data)


@asynccontextmanager
async def ask(url: str, request: Request) -> AsyncIterator[Response]:
    """The answer of the server at `url`. Raises: NoAnswer."""
    with _told():
        async with asyncio.timeout(CONNECT.total_seconds()):
            connection = _Connection(*await _opened(url), request.silence)
    try:
        yield Response(connection, await connection.send(urlsplit(url).netloc.rpartition("@")[2], request))
    finally:
        connection.close()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silence: timedelta | None) -> None:
        self._reader, self._writer = reader, writer
        self._silence_seconds = silence.total_seconds() if silence else None
        self._state = h11.Connection(h11.CLIENT)

    async def send(self, host: str, request: Request) -> h11.Response:
        """The head of the answer, which may come before all is sent: who refuses does not listen to the end."""
        headers = [("Host", host), ("Connection", "close"), *request.headers]
        headers.append(("Content-Length", str(request.size_bytes)))
        with _told():
            self._write(h11.Request(method=request.method, target=request.target, headers=headers))
            await tasks.unless(self._hear(), self._send(request.pieces()))
        while not isinstance(event := await self.event(), h11.Response):
            if not isinstance(event, h11.InformationalResponse):
                raise NoAnswer("it said nothing")
        return event

    async def event(self) -> Any:
        """What the server says next. Raises: NoAnswer."""
        with _told():
            while (event := self._state.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(self._silence_seconds):
                    await self._hear()
            return event

    def close(self) -> None:
        self._writer.transport.abort()

    async def _send(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            self._write(h11.Data(data=piece))
            await self._writer.drain()
        self._write(h11.EndOfMessage())

    async def _hear(self) -> None:
        self._state.receive_data(await self._reader.read(_CHUNK))

    def _write(self, event: Any) -> None:
        self._writer.write(self._state.send(event) or b"")


async def _opened(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise NoAnswer(f"this is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoAnswer("this is no address: write http://HOST:PORT or https://HOST")
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    return await asyncio.open_connection(parts.hostname, port, ssl=secure, limit=_CHUNK)


@contextmanager
def _told() -> Iterator[None]:
    """Whatever a connection raises is NoAnswer with its reason."""
    try:
        yield
    except TimeoutError as error:
        raise NoAnswer("it did not answer in time") from error
    except OSError as error:
        raise NoAnswer(error.strerror or str(error)) from error
    except (h11.RemoteProtocolError, UnicodeError) as error:
        raise NoAnswer(str(error)) from error
