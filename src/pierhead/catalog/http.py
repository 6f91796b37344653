"""HTTP/1.1 between a socket and `core`: one connection, its requests in order, its watcher dropped when it closes."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections import deque
from functools import lru_cache
from http import HTTPStatus

import httptools

from pierhead.catalog import reply, request
from pierhead.catalog.core import Cancel, Core
from pierhead.catalog.endpoints import kv
from pierhead.catalog.reply import Rejected, Reply
from pierhead.catalog.request import Request

log = logging.getLogger(__name__)

BODY_LIMIT = 8 << 20
HEAD_LIMIT = 64 << 10
SLOW_SECONDS = 30.0
"""How long a request may take from its first byte to its last."""
QUEUE_LIMIT = 16
"""Requests that one connection may send ahead of their answers."""

_GZIP_FROM, _GZIP_CACHED_TO = 1400, 256 << 10
_LIMITED = ("/v1/kv/", "/v1/txn")
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Connection(asyncio.Protocol):
    """The parser calls the `on_…` methods; the loop calls the others."""

    def __init__(self, core: Core, connections: set[Connection]) -> None:
        self._core = core
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[tuple[Request | Rejected, bool]] = deque()
        self._is_busy = False
        self._is_writable = True
        self._cancel: Cancel | None = None
        self._current: Request | None = None
        self._keeps_alive = True
        self._slow: asyncio.TimerHandle | None = None
        self._reset()

    # -- the loop ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._transport = None
        del self._parser  # It holds this connection too: both go now, without the help of the collector.
        self._queue.clear()
        if self._cancel:
            self._cancel()
        if self._slow:
            self._slow.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "Upgrades are not spoken here")
        except httptools.HttpParserCallbackError as error:
            log.exception("A request could not be answered.", exc_info=error.__context__ or error)
            self._refuse(500, "The catalog failed on this request; its log says why")
        except httptools.HttpParserError:
            self._refuse(400, "400 Bad Request")
        if self._is_partial and self._slow is None and self._transport:
            self._slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self.close)

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._is_writable = True
        self._advance()

    def close(self) -> None:
        """The connection closes once what was written is sent."""
        if self._transport:
            self._transport.close()

    # -- the parser ----------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._reset()
        self._is_partial = True

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        length = self._headers.get("content-length", "")
        if length.isdigit() and int(length) > BODY_LIMIT:
            self._refuse(413, f"Request body({length} bytes) too large, max size: {BODY_LIMIT} bytes.")
        elif self._headers.get("expect", "").lower() == "100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > BODY_LIMIT:
            self._refuse(413, f"Request body too large, max size: {BODY_LIMIT} bytes.")
        elif self._size <= self._body_limit():
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._is_partial = False
        if self._slow:
            self._slow.cancel()
            self._slow = None
        if self._transport is None or self._transport.is_closing():
            return
        self._queue.append((self._request(), self._parser.should_keep_alive()))
        if len(self._queue) >= QUEUE_LIMIT:
            self._transport.pause_reading()
        self._advance()

    # -- one request after the other -----------------------------------------------------------------------------------

    def _advance(self) -> None:
        while self._queue and not self._is_busy and self._is_writable and self._transport:
            asked, self._keeps_alive = self._queue.popleft()
            if len(self._queue) == QUEUE_LIMIT - 1:
                self._transport.resume_reading()
            if isinstance(asked, Rejected):
                self._current = None
                self._write(reply.rejection(asked))
                continue
            self._is_busy = True
            self._current = asked
            cancel = self._core.answer(asked, self._deliver)
            self._cancel = cancel if self._is_busy else None

    def _deliver(self, answer: Reply) -> None:
        self._is_busy = False
        self._cancel = None
        self._write(answer)
        if self._queue:
            asyncio.get_running_loop().call_soon(self._advance)

    def _write(self, answer: Reply) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        accepts = self._current.headers.get("accept-encoding", "") if self._current else ""
        self._transport.write(encode(answer, accepts_gzip="gzip" in accepts, keeps_alive=self._keeps_alive))
        if not self._keeps_alive:
            self._transport.close()

    def _refuse(self, status: int, text: str) -> None:
        """The connection cannot be understood or borne any longer."""
        if self._transport and not self._transport.is_closing():
            refusal = Reply(status, text.encode(), reply.TEXT)
            self._transport.write(encode(refusal, accepts_gzip=False, keeps_alive=False))
            self._transport.close()

    def _request(self) -> Request | Rejected:
        if self._size > self._body_limit():
            return kv.too_large(self._size)
        method = self._parser.get_method().decode("latin-1")
        try:
            return request.parse(method, self._url.decode("latin-1"), self._headers, b"".join(self._body))
        except Rejected as error:
            return error

    def _body_limit(self) -> int:
        return kv.VALUE_LIMIT if self._url.decode("latin-1").startswith(_LIMITED) else BODY_LIMIT

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_LIMIT:
            self._refuse(431, "431 Request Header Fields Too Large")

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._head_size = 0
        self._is_partial = False


def encode(answer: Reply, *, accepts_gzip: bool, keeps_alive: bool) -> bytes:
    """The reply as it goes over the wire."""
    body = answer.body
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, '')}"]
    if answer.kind:
        lines.append(f"Content-Type: {answer.kind}")
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if accepts_gzip and len(body) >= _GZIP_FROM:
        body = _compressed(body) if len(body) <= _GZIP_CACHED_TO else gzip.compress(body, 1)
        lines.append("Content-Encoding: gzip")
    lines.append("Vary: Accept-Encoding")
    if not keeps_alive:
        lines.append("Connection: close")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1", "replace") + body


@lru_cache(maxsize=64)
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, 1)
