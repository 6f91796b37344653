"""The access log: HAProxy sends one datagram a request to a socket, and the controller makes lines of them, for a file
or syslog.

It never holds HAProxy back: what the queue or the disk cannot take is dropped and counted; what the socket cannot take
HAProxy drops. While no controller runs nothing is written, and HAProxy serves as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from pierhead.gateway.layout import Layout, Pool
from pierhead.gateway.options import Options
from pierhead.gateway.syslog import Syslog
from pierhead.kit import errors, files
from pierhead.model.instance import Endpoint

log = logging.getLogger(__name__)

QUEUE = 20_000
"""Requests that may wait for the disk."""
BATCH = 2_000
"""Lines that are written at once, at most."""
FORMAT = (
    '{"time":%Ts.%ms,"client":"%ci","forwarded_for":"%[var(txn.forwarded),json(utf8s)]",'
    '"host":"%[var(txn.host),bytes(0,255),json(utf8s)]","path":"%[var(txn.path),bytes(0,1024),json(utf8s)]",'
    '"method":"%HM","status":%ST,"bytes_in":%U,"bytes_out":%B,'
    '"request_ms":%TR,"queue_ms":%Tw,"connect_ms":%Tc,"response_ms":%Tr,"total_ms":%Ta,"end":"%tsc",'
    '"backend":"%b","server":"%si:%sp","request_id":"%[var(txn.request_id),json(utf8s)]"}'
)
"""What HAProxy makes of a request: JSON, whatever the client sent."""
LENGTH = 16384
"""Of a datagram; none with `FORMAT` is longer."""

Homes = Mapping[str, str]
"""Pool → backend, for pools that have not the one of their name."""


@dataclass(slots=True)
class Count:
    """Since the controller started."""

    written: int = 0
    dropped: int = 0
    """Requests that the queue, the disk or syslog could not take."""
    error: str = ""
    """Why one of them takes none."""


class Place(Protocol):
    def write(self, lines: Sequence[str]) -> tuple[int, str]:
        """How many were taken, and why the rest was not. Blocks."""

    def close(self) -> None:
        """Nothing is held open; `write` opens it again."""


class File:
    """One that may be moved away at any time: it is opened anew for each batch."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path, self._limit_bytes = path, limit_bytes

    def write(self, lines: Sequence[str]) -> tuple[int, str]:
        """With more than the limit it begins anew, and what it held is in `<file>.1`. A limit of 0 is none."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._limit_bytes:
                files.rotate(self._path, self._limit_bytes)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
        except OSError as error:
            return 0, error.strerror or str(error)
        return len(lines), ""

    def close(self) -> None:
        """Nothing was."""


class AccessLog:
    """The socket of one gateway, and where its requests go to."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.count = Count()
        self._places = places
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)

    @classmethod
    def of(cls, options: Options) -> Self | None:
        """None: requests are not logged."""
        places: list[Place] = []
        if options.access_log:
            places.append(File(options.access_log, options.access_log_bytes))
        if options.access_syslog:
            places.append(Syslog(options.access_syslog, platform.node() or "-"))
        return cls(places) if places else None

    def take(self, datagram: bytes) -> None:
        """A request will be written, or is counted as dropped. What HAProxy says of itself is no request."""
        if not datagram.startswith(b"{"):
            return
        try:
            self._queue.put_nowait(datagram)
        except asyncio.QueueFull:
            self.count.dropped += 1

    async def keep(self, path: Path, now: Callable[[], tuple[Layout, Homes]]) -> None:
        """Requests told at the socket `path` are where they belong soon after they ended, until cancelled.

        `now`: what HAProxy's backends are. Raises: Unavailable (the socket cannot be made).
        """
        try:
            told = await asyncio.to_thread(_bound, path)
        except OSError as error:
            self.count.error = f"the socket {path} cannot be made: {error.strerror}"
            raise errors.Unavailable(f"The access log's socket {path} cannot be made: {error.strerror}") from error
        running = asyncio.get_running_loop()
        running.add_reader(told, self._drain, told)
        try:
            while True:
                await self._write([await self._queue.get(), *self._waiting()], *now())
        finally:
            running.remove_reader(told)
            told.close()
            for place in self._places:
                place.close()

    def _drain(self, told: socket.socket) -> None:
        """What came is taken at one go, because the socket holds few."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(BATCH):
                self.take(told.recv(LENGTH))

    def _waiting(self) -> list[bytes]:
        return [self._queue.get_nowait() for _ in range(min(self._queue.qsize(), BATCH - 1))]

    async def _write(self, told: Sequence[bytes], layout: Layout, homes: Homes) -> None:
        """A request counts as written when every place has taken it."""
        written, error = await asyncio.to_thread(self._put, told, layout, homes)
        if error and not self.count.error:
            log.warning("Requests are not logged.", extra={"reason": error})
        self.count.written += written
        self.count.dropped += len(told) - written
        self.count.error = error

    def _put(self, told: Sequence[bytes], layout: Layout, homes: Homes) -> tuple[int, str]:
        found = lines(told, layout, homes)
        results = [place.write(found) for place in self._places]
        return min(taken for taken, _ in results), next((error for _, error in results if error), "")


def _bound(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        found.setblocking(False)
        found.bind(str(path))
    except OSError:
        found.close()
        raise
    return found


def lines(told: Sequence[bytes], layout: Layout, homes: Homes) -> list[str]:
    """Each request as one JSON object, with service, release and instance. What is no JSON is left out."""
    pools = {backend: pool for pool, backend in homes.items()}
    instances: dict[str, dict[str, Endpoint]] = {}
    found = []
    for datagram in told:
        try:
            value = json.loads(datagram)
            backend, server = value["backend"], value["server"]
        except (ValueError, KeyError):
            continue
        pool = layout.pools.get(pools.get(backend, backend))
        if pool and pool.name not in instances:
            instances[pool.name] = _instances(pool)
        one = instances[pool.name].get(server) if pool else None
        value |= {"service": pool.service if pool else "", "release": "", "instance": ""}
        value |= {"release": one.release, "instance": one.id} if one else {}
        found.append(json.dumps(value))  # in ASCII, because half a surrogate has no other form
    return found


def _instances(pool: Pool) -> dict[str, Endpoint]:
    """Address as HAProxy logs it → who is there now."""
    seated = [(server.key, server.endpoints) for server in pool.servers if server.key and server.endpoints]
    return {f"{host}:{port}": endpoints[0] for (host, port), endpoints in seated}
