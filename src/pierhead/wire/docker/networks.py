"""Networks of one engine. Source: Docker Engine API, Network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pierhead.wire.docker.client import Engine


async def create(engine: Engine, name: str, labels: Mapping[str, str], *, internal: bool = False) -> str:
    """A bridge network of that name exists; its id. From an internal one nothing outside is reached."""
    body = {"Name": name, "CheckDuplicate": True, "Internal": internal, "Labels": dict(labels)}
    return str((await engine.post("/networks/create", body))["Id"])


async def listing(engine: Engine, filters: Mapping[str, Sequence[str]]) -> list[str]:
    """The ids of those that match."""
    query = {"filters": {key: list(values) for key, values in filters.items()}}
    return [str(value["Id"]) for value in await engine.get("/networks", query)]


async def remove(engine: Engine, network: str) -> None:
    """It is gone. Raises: NotFound, Denied or Conflict (a container is in it)."""
    await engine.delete(f"/networks/{network}")
