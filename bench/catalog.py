"""The embedded catalog beside a real Consul server with its log on disk, in one run on this machine.

    uv run python bench/catalog.py [--quick] [--only embedded|real]

Both are asked over loopback by this process with the same requests, in turn for each figure, so that whatever else the
machine does meets both. Wake-up: from just before a change is sent until the watcher's answer has arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from pierhead.testing import consul as real
from pierhead.testing.embedded import running as running_alone

CONNECTIONS = 16
WATCHERS = (1, 100, 2000)
SERVICES, INSTANCES = 5000, 20

Ask = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class Scale:
    seconds: float
    rounds: int
    services: int


class Line(asyncio.Protocol):
    """One keep-alive connection: a request at a time, the raw answer as a future."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._missing = -1
        self._is_chunked = False
        self._answer: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._missing < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._is_chunked = b"chunked" in self._buffer[:end].lower()
            self._missing = end + 4 + _length(self._buffer[:end])
        is_whole = self._buffer.endswith(b"\r\n0\r\n\r\n") if self._is_chunked else len(self._buffer) >= self._missing
        if is_whole and self._answer:
            answer, self._answer = self._answer, None
            answer.set_result(bytes(self._buffer))
            self._buffer.clear()
            self._missing = -1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))

    def ask(self, method: str, path: str, body: bytes = b"") -> asyncio.Future[bytes]:
        assert self.transport
        self._answer = asyncio.get_running_loop().create_future()
        head = f"{method} {path} HTTP/1.1\r\nHost: catalog\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)
        return self._answer


def _length(head: bytearray) -> int:
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def connect(url: str) -> Line:
    at = urlsplit(url)
    _, line = await asyncio.get_running_loop().create_connection(Line, at.hostname or "", at.port or 0)
    return line


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[real.Running]:
    """`pier catalog` in a process of its own."""
    async with running_alone(folder) as (url, process):
        yield real.Running(url, process.pid)


async def rate(url: str, connections: int, seconds: float, make: Callable[[int], Ask]) -> float:
    """Answers per second, all of them 200."""
    lines = [await connect(url) for _ in range(connections)]
    numbers: Iterator[int] = iter(range(10**9))
    begun = time.perf_counter()
    done = 0

    async def work(line: Line) -> None:
        nonlocal done
        while time.perf_counter() - begun < seconds:
            answer = await line.ask(*make(next(numbers)))
            assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
            done += 1

    async with asyncio.TaskGroup() as group:
        for line in lines:
            group.create_task(work(line))
    elapsed = time.perf_counter() - begun
    for line in lines:
        assert line.transport
        line.transport.close()
    return done / elapsed


def registration(number: int) -> Ask:
    """A changed registration of one of 1,000 instances."""
    body = {
        "ID": f"s{number % 100}-{number // 100 % 10}",
        "Name": f"s{number % 100}",
        "Address": "10.0.0.1",
        "Port": 1 + number % 60000,
        "Check": {"TTL": "8760h", "Status": "passing"},
    }
    return "PUT", "/v1/agent/service/register", json.dumps(body).encode()


async def wakes(url: str, watchers: int, rounds: int) -> list[float]:
    """Milliseconds from a change to the answer of the one watcher that it concerns, among `watchers` that wait."""
    writer = await connect(url)
    lines = []
    for number in range(watchers):
        await writer.ask("PUT", f"/v1/kv/wake/{number}", b"0")
    waiting: list[asyncio.Future[bytes]] = []
    for number in range(watchers):
        line = await connect(url)
        lines.append(line)
        index = _index(await line.ask("GET", f"/v1/kv/wake/{number}"))
        waiting.append(line.ask("GET", f"/v1/kv/wake/{number}?index={index}&wait=120s"))
    await asyncio.sleep(0.3)
    gc.collect()
    gc.disable()
    found = []
    for step in range(rounds):
        number = step * 7919 % watchers
        begun = time.perf_counter()
        written = writer.ask("PUT", f"/v1/kv/wake/{number}", str(step + 1).encode())
        index = _index(await waiting[number])
        found.append((time.perf_counter() - begun) * 1000)
        await written
        waiting[number] = lines[number].ask("GET", f"/v1/kv/wake/{number}?index={index}&wait=120s")
        await asyncio.sleep(0.002)
    gc.enable()
    missed = [number for number, answer in enumerate(waiting) if answer.done()]
    assert not missed, f"{len(missed)} watchers were woken for nothing"
    for line in [writer, *lines]:
        assert line.transport
        line.transport.abort()
    await asyncio.wait(waiting)
    for answer in waiting:
        answer.exception()
    return found


def _index(answer: bytes) -> int:
    at = answer.lower().find(b"x-consul-index:")
    return int(answer[at + 15 :].split(b"\r\n", 1)[0])


async def fill(url: str, services: int) -> None:
    """`services` services of 20 instances each, every one with a check, on 20 nodes."""
    line = await connect(url)
    for node in range(INSTANCES):
        body = {"Node": f"n{node}", "Address": f"10.0.0.{node + 1}"}
        await line.ask("PUT", "/v1/catalog/register", json.dumps(body).encode())
        for first in range(0, services, 32):
            operations = [
                operation
                for number in range(first, min(first + 32, services))
                for operation in _instance(f"n{node}", f"svc-{number}", number)
            ]
            answer = await line.ask("PUT", "/v1/txn", json.dumps(operations).encode())
            assert answer.startswith(b"HTTP/1.1 200"), answer[:300]
    await line.ask("GET", "/v1/health/state/passing")
    for number in range(0, services, 10):
        await line.ask("GET", f"/v1/health/service/svc-{number}?passing")
    assert line.transport
    line.transport.close()


def _instance(node: str, name: str, number: int) -> list[dict[str, object]]:
    service_id = f"{node}:{name}:80"
    service = {"ID": service_id, "Service": name, "Port": 1 + number, "Tags": ["production", "v1"]}
    check = {"Node": node, "CheckID": f"service:{service_id}", "Name": f"Service '{name}' check", "Status": "passing"}
    return [
        {"Service": {"Verb": "set", "Node": node, "Service": {**service, "Meta": {"pier-app": name}}}},
        {"Check": {"Verb": "set", "Check": {**check, "ServiceID": service_id}}},
    ]


def rss_mib(pid: int) -> float:
    """Resident memory of the process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


Take = Callable[[real.Running], Awaitable[dict[str, float]]]


def steps(scale: Scale) -> Iterator[Take]:
    """What is measured, one after the other."""
    value = base64.b64encode(os.urandom(48))
    reads = ("GET", "/v1/health/service/s{}?passing", b"")
    rates: list[tuple[str, int, Callable[[int], Ask]]] = [
        ("registrations/s, 16 connections", CONNECTIONS, registration),
        ("registrations/s, 1 connection", 1, registration),
        ("kv puts/s, 16 connections", CONNECTIONS, lambda number: ("PUT", f"/v1/kv/b/{number}", value)),
        ("kv puts/s, 1 connection", 1, lambda number: ("PUT", f"/v1/kv/c/{number}", value)),
        ("health reads/s, 16 connections", CONNECTIONS, lambda n: (reads[0], reads[1].format(n % 100), reads[2])),
    ]
    for what, connections, make in rates:
        yield partial(_rate, what, connections, scale.seconds, make)
    for count in WATCHERS:
        yield partial(_wakes, count, scale.rounds)
    yield partial(_fill, scale.services)


async def _rate(
    what: str, connections: int, seconds: float, make: Callable[[int], Ask], running: real.Running
) -> dict[str, float]:
    return {what: await rate(running.url, connections, seconds, make)}


async def _wakes(count: int, rounds: int, running: real.Running) -> dict[str, float]:
    found = sorted(await wakes(running.url, count, rounds))
    return {
        f"wake-up ms, p50, {count} watchers": statistics.median(found),
        f"wake-up ms, p99, {count} watchers": found[int(len(found) * 0.99)],
    }


async def _fill(services: int, running: real.Running) -> dict[str, float]:
    begun = time.perf_counter()
    await fill(running.url, services)
    return {
        f"seconds to load {services} services x {INSTANCES}": time.perf_counter() - begun,
        f"RSS MiB, {services} services x {INSTANCES}": rss_mib(running.pid),
    }


def show(results: dict[str, dict[str, float]]) -> None:
    names = list(results)
    print(f"{'':44}" + "".join(f"{name:>14}" for name in names) + f"{'ours / Consul':>16}")
    for what in results[names[0]]:
        values = [results[name][what] for name in names]
        ratio = f"{values[0] / values[1]:>15.2f}x" if len(values) > 1 and values[1] else ""
        print(f"{what:44}" + "".join(f"{value:>14.2f}" for value in values) + ratio)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--only", choices=["embedded", "real"])
    given = parser.parse_args()
    scale = Scale(0.5, 100, SERVICES // 10) if given.quick else Scale(2.0, 300, SERVICES)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    results: dict[str, dict[str, float]] = {}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            name: await stack.enter_async_context(start(folder / name))
            for name, start in (("embedded", embedded), ("real", real.serving))
            if given.only in (None, name)
        }
        for take in steps(scale):
            for name, running in servers.items():
                results.setdefault(name, {}).update(await take(running))
    show(results)


if __name__ == "__main__":
    asyncio.run(main())
