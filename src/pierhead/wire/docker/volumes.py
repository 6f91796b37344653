"""Named volumes. Source: Docker Engine API, Volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.services import label_filter


@dataclass(frozen=True, slots=True)
class Volume:
    name: str
    driver: str
    path: str
    """Where it is on the engine's host."""
    labels: Mapping[str, str]


async def listing(engine: Engine, labels: Mapping[str, str]) -> list[Volume]:
    """Every volume that has all of the labels."""
    found = await engine.get("/volumes", {"filters": label_filter(labels)})
    return [_read(value) for value in found.get("Volumes") or ()]


async def ensure(engine: Engine, name: str, labels: Mapping[str, str]) -> Volume:
    """There is a volume of that name. One that is there already is not changed."""
    return _read(await engine.post("/volumes/create", {"Name": name, "Labels": dict(labels)}))


async def remove(engine: Engine, name: str) -> None:
    """Raises: NotFound, Conflict (a container uses it)."""
    await engine.delete(f"/volumes/{name}")


def _read(value: Mapping[str, Any]) -> Volume:
    return Volume(value["Name"], value["Driver"], value.get("Mountpoint") or "", value.get("Labels") or {})
