"""Sessions: who holds a lock on keys, and for how long. Source: Consul HTTP API, Sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pierhead.wire.consul.client import Consul, duration, segment


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    name: str
    node: str
    behavior: str
    """`release` or `delete`: what happens to its keys when it ends."""
    ttl: str
    create_index: int


async def create(
    client: Consul,
    *,
    name: str = "",
    ttl: timedelta | None = None,
    lock_delay: timedelta | None = None,
    behavior: str = "release",
) -> str:
    """The id of a new session, which ends when it is destroyed, when `ttl` (10 s … 24 h) passes without a renewal, or
    when its node's check turns critical. For `lock_delay` (15 s by default) after that nobody gets its locks."""
    body = {"Name": name, "Behavior": behavior}
    times = {"TTL": ttl, "LockDelay": lock_delay}
    body |= {key: duration(value) for key, value in times.items() if value is not None}
    return str((await client.put("/v1/session/create", body)).json()["ID"])


async def destroy(client: Consul, session_id: str) -> None:
    """There is no such session. Idempotent."""
    await client.put(f"/v1/session/destroy/{segment(session_id)}")


async def renew(client: Consul, session_id: str) -> None:
    """The session's time starts anew. Raises: NotFound."""
    await client.put(f"/v1/session/renew/{segment(session_id)}")


async def info(client: Consul, session_id: str) -> Session | None:
    """The session, or None."""
    values = (await client.get(f"/v1/session/info/{segment(session_id)}")).json()
    return _session(values[0]) if values else None


async def sessions(client: Consul) -> tuple[Session, ...]:
    """Every session."""
    return tuple(_session(value) for value in (await client.get("/v1/session/list")).json() or ())


def _session(value: Mapping[str, Any]) -> Session:
    return Session(
        id=value["ID"],
        name=value.get("Name") or "",
        node=value.get("Node") or "",
        behavior=value.get("Behavior") or "",
        ttl=value.get("TTL") or "",
        create_index=value.get("CreateIndex") or 0,
    )
