"""Swarm secrets: written once, delivered as files, never read back. Source: Docker Engine API, Secret."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from pierhead.kit import errors
from pierhead.wire.docker.client import Engine


async def ensure(engine: Engine, name: str, value: bytes, labels: Mapping[str, str]) -> str:
    """There is a secret of that name; its id. One that is there already is not changed: a name stands for a value."""
    body = {"Name": name, "Labels": dict(labels), "Data": base64.b64encode(value).decode()}
    try:
        return str((await engine.post("/secrets/create", body))["ID"])
    except errors.Conflict:
        found = await engine.get("/secrets", {"filters": {"name": [name]}})
        return next(str(one["ID"]) for one in found if one["Spec"]["Name"] == name)


async def remove(engine: Engine, secret_id: str) -> None:
    """Raises: NotFound, Invalid (a service still uses it)."""
    await engine.delete(f"/secrets/{secret_id}")
