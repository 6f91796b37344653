"""The agent's claim in the catalog on its identity: two agents with one id or one name would undo each other's work.

The claim is two keys that a session holds: `pier/agents/id/<id>` and `pier/agents/name/<name>`. It lapses when the
agent has been silent for `TTL`. An agent that was killed takes its own claim over at once, because the lock of its data
folder proves that its predecessor is dead.
"""

from __future__ import annotations

import json
import logging
import platform
from datetime import timedelta
from pathlib import Path

from pierhead.agent.endpoint import Node
from pierhead.kit import errors
from pierhead.model.host import PROBLEMS
from pierhead.wire.consul import kv, session
from pierhead.wire.consul.client import Consul, segment

log = logging.getLogger(__name__)

TTL = timedelta(seconds=15)
_PREFIX = "pier/agents"


class Claim:
    """Held from the first `keep` that returns, for as long as `keep` is called at least every TTL."""

    def __init__(self, node: Node, data: Path) -> None:
        self._node = node
        self._mark = {"id": node.id, "machine": platform.node(), "data": str(data.resolve())}
        self._session = ""
        self._told = ""

    async def keep(self, consul: Consul) -> None:
        """Nobody else has this identity. Raises: Conflict (a live agent has it), Unavailable."""
        if self._session and await _is_alive(consul, self._session):
            return
        self._session = await session.create(
            consul, name=f"agent {self._node.name}", ttl=TTL, lock_delay=timedelta(), behavior="delete"
        )
        self._told = ""
        for key in (f"{_PREFIX}/id/{self._node.id}", f"{_PREFIX}/name/{segment(self._node.name)}"):
            await self._take(consul, key)

    async def tell(self, consul: Consul, problem: str) -> None:
        """The catalog has what is wrong with this node's files, as long as the claim holds; empty: nothing is."""
        if problem == self._told:
            return
        key = f"{PROBLEMS}{segment(self._node.name)}"
        if problem:
            await kv.put(consul, key, problem.encode(), acquire=self._session)
        else:
            await kv.delete(consul, key)
        self._told = problem

    async def leave(self, consul: Consul) -> None:
        """The claim has lapsed."""
        if self._session:
            await session.destroy(consul, self._session)
            self._session = ""

    async def _take(self, consul: Consul, key: str) -> None:
        value = json.dumps(self._mark).encode()
        if await kv.put(consul, key, value, acquire=self._session):
            return
        pair, _ = await kv.get(consul, key)
        if pair and pair.session and _mark(pair.value) == self._mark:
            log.info("Took over the claim of this node's last agent.", extra={"key": key})
            await session.destroy(consul, pair.session)
        if not await kv.put(consul, key, value, acquire=self._session):
            await self.leave(consul)
            raise self._conflict(key, _mark(pair.value) if pair else {})

    def _conflict(self, key: str, other: dict[str, str]) -> errors.Conflict:
        return errors.Conflict(
            f"Another agent is node {self._node.name!r} ({self._node.id}): the one in {other.get('data', '?')} "
            f"on {other.get('machine', '?')}.",
            hint="Each node needs a --node-name of its own and a --data folder that was not copied from another node. "
            f"After a machine was lost, wait {TTL.seconds} seconds ({key}).",
        )


async def _is_alive(consul: Consul, session_id: str) -> bool:
    try:
        await session.renew(consul, session_id)
    except errors.NotFound:
        return False
    return True


def _mark(value: bytes) -> dict[str, str]:
    try:
        found = json.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
