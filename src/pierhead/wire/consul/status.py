"""Who leads. Source: Consul HTTP API, Status."""

from __future__ import annotations

from pierhead.wire.consul.client import Consul


async def leader(client: Consul) -> str:
    """`address:port` of the leader; empty when there is none."""
    return str((await client.get("/v1/status/leader")).json())


async def peers(client: Consul) -> tuple[str, ...]:
    """`address:port` of every server."""
    return tuple((await client.get("/v1/status/peers")).json() or ())
