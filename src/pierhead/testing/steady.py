"""Requests at a steady rate from a process of its own: `python -m pierhead.testing.steady` and what `_main` takes.

Ends after so many requests or on SIGTERM, when every request that was sent has its answer; prints what became of them
as JSON. A request that could not be sent in its turn is sent as soon as possible, so that a busy machine loses none.
Every other request has a connection of its own, and nothing is asked twice: what an HTTP client would hide is counted.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

SLOW = "/cgi-bin/slow"
"""What every tenth request asks for."""
_SLOW_EVERY = 10
_BEGUN = 50
"""The requests after which the sender says that it is at work."""
_AT_ONCE = 200
"""A machine that is too busy for the rate gets fewer requests, instead of a queue that no small server can hold."""
_PATIENCE_SECONDS = 30.0


@dataclass
class Outcome:
    """What became of the requests."""

    answers: Counter[str] = field(default_factory=Counter)
    """By status, or by what was wrong."""
    seconds: float = 0.0

    @property
    def failed(self) -> Counter[str]:
        return Counter({text: count for text, count in self.answers.items() if text != "200"})

    @property
    def per_second(self) -> float:
        return self.answers.total() / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        failed = f"{self.failed.total()} failed {dict(self.failed) or ''}".strip()
        return f"{self.answers.total()} requests in {self.seconds:.1f} s ({self.per_second:.0f}/s), {failed}"


@asynccontextmanager
async def sending(
    url: str, host: str, per_second: int = 500, most: int = 60_000, answers: str = ""
) -> AsyncIterator[Outcome]:
    """Requests come inside the block from its first line on; behind it the outcome is known.

    `answers`: the two that are right, of `/` and of `SLOW` (`hello,slow`); empty: whatever comes whole.
    """
    outcome = Outcome()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, url, host, str(per_second), str(most), answers),
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdout is None or not await process.stdout.readline():
        raise RuntimeError("no request was sent")
    try:
        yield outcome
    finally:
        if process.returncode is None:
            process.terminate()
        said, _ = await process.communicate()
    found = json.loads(said)
    outcome.answers.update(found["answers"])
    outcome.seconds = found["seconds"]


async def send(client: _Client, per_second: int, most: int) -> Outcome:
    """`most` requests were sent, or as many as until SIGTERM, and answered."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    begin = loop.time()
    for number in range(1, most + 1):
        if over.is_set():
            break
        if (early := begin + number / per_second - loop.time()) > 0:
            await asyncio.sleep(early)
        await client.room.acquire()
        if number == _BEGUN:
            sys.stdout.write("begun\n")
            sys.stdout.flush()
        client.ask(SLOW if number % _SLOW_EVERY == 0 else "/", is_fresh=number % 2 == 0)
    seconds = loop.time() - begin
    for _ in range(_AT_ONCE):
        await client.room.acquire()
    return Outcome(client.answers, seconds)


class _Client:
    def __init__(self, url: str, host: str, right: Sequence[str]) -> None:
        """`right`: the answers of `/` and of `SLOW`."""
        self.right = dict(zip(("/", SLOW), right, strict=False))
        found = urlsplit(url)
        self.address, self.port, self.host = found.hostname or "", found.port or 80, host
        self.answers: Counter[str] = Counter()
        self.room = asyncio.Semaphore(_AT_ONCE)
        self.idle: deque[_Connection] = deque()
        self._opening: set[asyncio.Task[None]] = set()

    def ask(self, path: str, *, is_fresh: bool) -> None:
        """The answer is counted once it is there, and then there is room for another request."""
        if self.idle and not is_fresh:
            self.idle.popleft().ask(path)
        else:
            task = asyncio.create_task(self._open(path, is_kept=not is_fresh))  # noqa: TID251
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def answered(self, what: str) -> None:
        self.answers[what] += 1
        self.room.release()

    async def _open(self, path: str, *, is_kept: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(lambda: _Connection(self, is_kept=is_kept), self.address, self.port)
        except OSError as error:
            self.answered(f"not connected: {error.strerror}")
        else:
            made.ask(path)


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, client: _Client, *, is_kept: bool) -> None:
        self._client, self._is_kept = client, is_kept
        self._path, self._received = "", b""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, path: str) -> None:
        self._path, self._body, self._is_whole = path, b"", False
        self._parser = httptools.HttpResponseParser(self)
        self._deadline = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._end, "no answer in time")
        kept = "" if self._is_kept else "Connection: close\r\n"
        self._transport.write(f"GET {path} HTTP/1.1\r\nHost: {self._client.host}\r\n{kept}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(f"not readable: {error}")
        if self._is_whole:
            self._answered()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._is_whole = True

    def connection_lost(self, error: Exception | None) -> None:
        """The end of an answer, when that has said no length."""
        if self._deadline is None:
            self._end("")
        elif error is None and self._body and self._is_right:
            self._answered()
        else:
            status = self._parser.get_status_code()
            self._end(f"connection lost after status {status} and {len(self._body)} bytes: {error or 'closed'}")

    def _answered(self) -> None:
        status = self._parser.get_status_code()
        is_right = status != 200 or self._is_right
        stays = self._is_kept and self._is_whole and self._parser.should_keep_alive()
        self._end(str(status) if is_right else f"200, but the answer is {self._body[:60]!r}", stays=stays)

    @property
    def _is_right(self) -> bool:
        right = self._client.right.get(self._path)
        return right is None or self._body.decode().strip() == right

    def _end(self, what: str, *, stays: bool = False) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
            self._client.answered(what)
        if stays:
            self._client.idle.append(self)
        else:
            if self in self._client.idle:
                self._client.idle.remove(self)
            self._transport.close()


async def _main(url: str, host: str, per_second: str, most: str, answers: str) -> Outcome:
    return await send(_Client(url, host, answers.split(",") if answers else ()), int(per_second), int(most))


if __name__ == "__main__":
    sent = asyncio.run(_main(*sys.argv[1:]))
    sys.stdout.write(json.dumps({"answers": sent.answers, "seconds": sent.seconds}))
