"""The engine itself. Source: Docker Engine API, System."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pierhead.wire.docker.client import Engine


@dataclass(frozen=True, slots=True)
class Version:
    engine: str
    """`20.10.24`"""
    api: str
    least_api: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes on the engine's disk."""

    images_bytes: int
    containers_bytes: int
    volumes_bytes: int
    build_cache_bytes: int


async def ping(engine: Engine) -> None:
    """The engine answers. Raises: Unavailable."""
    await engine.get("/version")


async def version(engine: Engine) -> Version:
    value = await engine.get("/version")
    return Version(value["Version"], value["ApiVersion"], value.get("MinAPIVersion") or value["ApiVersion"])


async def info(engine: Engine) -> dict[str, Any]:
    """The engine's own description: `ID`, `Name`, `ServerVersion`, `NCPU`, `MemTotal`, `Swarm`, …"""
    value: dict[str, Any] = await engine.get("/info")
    return value


async def disk_usage(engine: Engine) -> Usage:
    """Slow on a full disk: the engine counts everything."""
    value = await engine.get("/system/df")
    return Usage(
        images_bytes=value.get("LayersSize") or 0,
        containers_bytes=sum(one.get("SizeRw") or 0 for one in value.get("Containers") or ()),
        volumes_bytes=sum((one.get("UsageData") or {}).get("Size") or 0 for one in value.get("Volumes") or ()),
        build_cache_bytes=sum(one.get("Size") or 0 for one in value.get("BuildCache") or ()),
    )
