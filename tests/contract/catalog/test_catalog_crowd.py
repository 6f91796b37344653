"""2,000 who wait: little memory, one change wakes those it concerns and nobody else, nobody is missed."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pierhead.testing import consul as real
from pierhead.testing import embedded
from pierhead.wire.consul import kv
from pierhead.wire.consul.client import Consul

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

WATCHERS = 2000
KEYS = 200
"""Every key has ten watchers."""
MEMORY_MIB = {"embedded": 40, "real": 300}
"""What 2,000 watchers may cost; measured 9 and 90."""


@dataclass
class Watcher:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    key: str
    index: int = 0

    async def ask(self, wait: str = "") -> None:
        query = f"?index={self.index}&wait={wait}" if wait else ""
        self.writer.write(f"GET /v1/kv/{self.key}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await self.writer.drain()

    async def hear(self) -> str:
        """The value in the answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        lines = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        body = await self.reader.readexactly(int(lines["content-length"]))
        self.index = int(lines["x-consul-index"])
        return body.decode().partition('"Value":"')[2].partition('"')[0]


@asynccontextmanager
async def serving(kind: str, folder: Path) -> AsyncIterator[real.Running]:
    """A server in a process of its own, whose memory can be read."""
    if kind == "real":
        async with real.serving(folder) as running:
            yield running
        return
    async with embedded.running(folder) as (url, process):
        yield real.Running(url, process.pid)


@pytest.fixture(autouse=True)
def _many_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))


async def test_two_thousand_watchers_are_told_what_concerns_them(kind: str, tmp_path: Path) -> None:
    async with serving(kind, tmp_path) as running, Consul(running.url) as consul:
        for number in range(KEYS):
            await kv.put(consul, f"crowd/{number}", b"0")
        before = _memory_mib(running.pid)
        watchers = [await _connected(running.url, f"crowd/{number % KEYS}") for number in range(WATCHERS)]
        for watcher in watchers:
            await watcher.ask()
            await watcher.hear()
            await watcher.ask("300s")
        heard = {id(watcher): asyncio.Event() for watcher in watchers}
        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            tasks = [group.create_task(_listen(watcher, heard[id(watcher)])) for watcher in watchers]
            await kv.put(consul, "crowd/7", b"1")
            concerned = [watcher for watcher in watchers if watcher.key == "crowd/7"]
            for watcher in concerned:
                await heard[id(watcher)].wait()
            await kv.put(consul, "crowd/7", b"2")
            assert sum(event.is_set() for event in heard.values()) == len(concerned) == WATCHERS // KEYS
            cost = _memory_mib(running.pid) - before
            for number in range(KEYS):
                await kv.put(consul, f"crowd/{number}", b"done")
            values = [await task for task in tasks]
        assert values == ["ZG9uZQ=="] * WATCHERS
        assert cost < MEMORY_MIB[kind], f"{WATCHERS} watchers cost {cost:.0f} MiB"
        for watcher in watchers:
            watcher.writer.close()


async def _connected(url: str, key: str) -> Watcher:
    at = urlsplit(url)
    return Watcher(*await asyncio.open_connection(at.hostname, at.port), key)


async def _listen(watcher: Watcher, heard: asyncio.Event) -> str:
    """The last value, once it is the last; each answer before it is followed by the next question."""
    while True:
        value = await watcher.hear()
        heard.set()
        if value == "ZG9uZQ==":
            return value
        await watcher.ask("300s")


def _memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
