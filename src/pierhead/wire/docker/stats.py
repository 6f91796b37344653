"""What a container uses. Source: Docker Engine API, Get container stats based on resource usage."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pierhead.wire.docker.client import Engine


@dataclass(frozen=True, slots=True)
class Sample:
    at: str
    cpus: float
    """Processors that were kept busy since the sample before: 0.5 is half of one."""
    memory_bytes: int
    """Without the page cache that the kernel can take back."""
    memory_limit_bytes: int
    received_bytes: int
    """Over all networks since the container started, as are the next three."""
    sent_bytes: int
    read_bytes: int
    written_bytes: int
    processes: int


async def one(engine: Engine, container: str) -> Sample:
    """The use over one second from now. Raises: NotFound, Conflict (it does not run)."""
    return read(await engine.get(f"/containers/{container}/stats", {"stream": False}))


async def follow(engine: Engine, container: str) -> AsyncIterator[Sample]:
    """A sample every second until the container ends. Raises: NotFound."""
    async with engine.stream("GET", f"/containers/{container}/stats", {"stream": True}) as response:
        async for line in response.content:
            value = json.loads(line)
            if value["precpu_stats"].get("system_cpu_usage"):  # the first one has nothing to compare with
                yield read(value)


def read(value: Mapping[str, Any]) -> Sample:
    """From one document of the engine."""
    memory, blocks = value.get("memory_stats") or {}, value.get("blkio_stats") or {}
    networks = (value.get("networks") or {}).values()
    return Sample(
        at=value["read"],
        cpus=_cpus(value["cpu_stats"], value["precpu_stats"]),
        memory_bytes=max(0, (memory.get("usage") or 0) - _cache(memory.get("stats") or {})),
        memory_limit_bytes=memory.get("limit") or 0,
        received_bytes=sum(one.get("rx_bytes") or 0 for one in networks),
        sent_bytes=sum(one.get("tx_bytes") or 0 for one in networks),
        read_bytes=_blocks(blocks.get("io_service_bytes_recursive") or (), "read"),
        written_bytes=_blocks(blocks.get("io_service_bytes_recursive") or (), "write"),
        processes=(value.get("pids_stats") or {}).get("current") or 0,
    )


def _cpus(now: Mapping[str, Any], before: Mapping[str, Any]) -> float:
    busy = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = (now.get("system_cpu_usage") or 0) - (before.get("system_cpu_usage") or 0)
    return round(busy / passed * (now.get("online_cpus") or 1), 4) if busy > 0 and passed > 0 else 0.0


def _cache(stats: Mapping[str, int]) -> int:
    """Control groups of version 1 and 2 name it differently."""
    return stats.get("total_inactive_file", stats.get("inactive_file", 0))


def _blocks(entries: Iterable[Mapping[str, Any]], operation: str) -> int:
    return sum(one["value"] for one in entries if one["op"].lower() == operation)
