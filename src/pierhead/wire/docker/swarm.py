"""The swarm that the engine belongs to, and its nodes. Source: Docker Engine API, Swarm and Node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.moments import moment
from pierhead.wire.docker.services import Share, share


@dataclass(frozen=True, slots=True)
class Swarm:
    id: str
    worker_token: str
    manager_token: str


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    host_name: str
    role: str
    """`manager` or `worker`."""
    availability: str
    """`active`, `pause` or `drain`."""
    state: str
    """`ready`, `down`, `disconnected` or `unknown`."""
    address: str
    version: int
    """What an update must name."""
    labels: Mapping[str, str]
    updated_at: datetime
    resources: Share
    """All that it has."""
    engine_version: str
    """`20.10.24`; empty: not known."""
    raw: Mapping[str, Any]


async def inspect(engine: Engine) -> Swarm:
    """Raises: Unavailable (this engine is in no swarm, or no manager)."""
    value = await engine.get("/swarm")
    return Swarm(value["ID"], value["JoinTokens"]["Worker"], value["JoinTokens"]["Manager"])


async def init(engine: Engine, *, advertise: str, listen: str = "0.0.0.0:2377") -> str:
    """The engine manages a swarm of its own; its node id. Raises: Unavailable (it is in one already)."""
    return str(await engine.post("/swarm/init", {"ListenAddr": listen, "AdvertiseAddr": advertise}))


async def join(engine: Engine, *, manager: str, token: str, advertise: str, listen: str = "0.0.0.0:2377") -> None:
    """The engine is a node of the swarm that `manager` (`address:port`) belongs to."""
    body = {"ListenAddr": listen, "AdvertiseAddr": advertise, "RemoteAddrs": [manager], "JoinToken": token}
    await engine.post("/swarm/join", body)


async def leave(engine: Engine, *, force: bool = False) -> None:
    """The engine is in no swarm. A manager leaves only by `force`, and a last manager takes the swarm with it."""
    await engine.post("/swarm/leave", query={"force": force})


async def nodes(engine: Engine) -> list[Node]:
    """Every node of the swarm. Raises: Unavailable (no manager)."""
    return [_read(value) for value in await engine.get("/nodes")]


async def use(engine: Engine, node: Node, availability: str, labels: Mapping[str, str]) -> None:
    """The node has that availability and these labels. With `pause` it takes no new tasks, with `drain` it ends those
    it has, and the swarm starts others elsewhere.

    Raises: NotFound, Unavailable (also when the node was changed since it was read).
    """
    spec = {**node.raw["Spec"], "Availability": availability, "Labels": dict(labels)}
    await engine.post(f"/nodes/{node.id}/update", spec, {"version": str(node.version)})


def _read(value: Mapping[str, Any]) -> Node:
    spec, status, told = value["Spec"], value.get("Status") or {}, value.get("Description") or {}
    return Node(
        id=value["ID"],
        host_name=told.get("Hostname") or "",
        role=spec["Role"],
        availability=spec["Availability"],
        state=status.get("State") or "unknown",
        address=status.get("Addr") or "",
        version=value["Version"]["Index"],
        labels=spec.get("Labels") or {},
        updated_at=moment(value["UpdatedAt"]),
        resources=share(told.get("Resources") or {}),
        engine_version=(told.get("Engine") or {}).get("EngineVersion") or "",
        raw=value,
    )
