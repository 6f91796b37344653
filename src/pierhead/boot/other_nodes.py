"""What the agents of other nodes say is wrong with their host services: `pier status` is where people look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from pierhead.kit import errors
from pierhead.kit.backoff import Backoff
from pierhead.model import host
from pierhead.wire.consul import kv
from pierhead.wire.consul.client import Consul

_WAIT = timedelta(minutes=1)


async def follow(consul: Consul, own: str, tell: Callable[[str], None]) -> None:
    """`tell` hears it of all nodes but `own`, and an empty text when all is well; until this is cancelled.

    While the catalog does not answer what was heard last holds.
    """
    index, backoff = 0, Backoff()
    while True:
        try:
            pairs, index = await kv.get_tree(consul, host.PROBLEMS, index=index, wait=_WAIT)
        except errors.PierError:  # the agent itself says so
            index = 0
            await asyncio.sleep(backoff.failed())
            continue
        backoff.succeeded()
        found = {pair.key.removeprefix(host.PROBLEMS): pair.value.decode(errors="replace") for pair in pairs}
        tell("; ".join(f"{name}: {text}" for name, text in sorted(found.items()) if name != own))
