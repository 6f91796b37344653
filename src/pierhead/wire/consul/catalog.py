"""What is registered anywhere. Source: Consul HTTP API, Catalog."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pierhead.wire.consul import records
from pierhead.wire.consul.client import Consul, segment


async def services(
    client: Consul, *, index: int = 0, wait: timedelta | None = None
) -> tuple[dict[str, tuple[str, ...]], int]:
    """Every service name with the tags that its instances have."""
    answer = await client.get("/v1/catalog/services", index=index, wait=wait)
    return {name: tuple(tags or ()) for name, tags in answer.json().items()}, answer.index


async def service(
    client: Consul, name: str, *, tag: str = "", index: int = 0, wait: timedelta | None = None
) -> tuple[tuple[records.Entry, ...], int]:
    """The instances of a service, without their checks; empty when there is none."""
    params = {"tag": tag} if tag else {}
    answer = await client.get(f"/v1/catalog/service/{segment(name)}", params, index=index, wait=wait)
    return tuple(records.read_flat(value) for value in answer.json()), answer.index


async def nodes(
    client: Consul, *, index: int = 0, wait: timedelta | None = None
) -> tuple[tuple[records.Node, ...], int]:
    """Every node that the catalog knows."""
    answer = await client.get("/v1/catalog/nodes", index=index, wait=wait)
    return tuple(records.read_node(value) for value in answer.json()), answer.index


async def register(client: Consul, body: Mapping[str, Any]) -> None:
    """The catalog has the node, and the service and checks of `body` on it. For nodes without an agent only: an agent
    removes within half a minute what was written past it."""
    await client.put("/v1/catalog/register", dict(body))


async def deregister(client: Consul, body: Mapping[str, Any]) -> None:
    """The catalog no longer has the node of `body`, or only its `ServiceID` or `CheckID` when given."""
    await client.put("/v1/catalog/deregister", dict(body))
