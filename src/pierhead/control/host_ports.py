"""Host ports for instances that need one of their own: taken before there is an engine service, given back after it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta

from pierhead.control.context import Context
from pierhead.kit import clock, errors
from pierhead.store import host_ports

_log = logging.getLogger(__name__)

MOST_TRIES = 5
"""So many ports of a release may be another program's before somebody has to look."""
_PATIENCE = timedelta(minutes=10)
_MAKING = timedelta(minutes=1)
"""A port that was taken so long ago has an engine service, or its server died before it made one."""


async def take(ctx: Context, release: str, count: int) -> tuple[str, Sequence[int]]:
    """The name of the engine service to make, and its ports. Raises: Conflict (none is free)."""
    async with ctx.store.write() as db:
        return await host_ports.take(db, release, count, _rule(ctx))


async def refused(ctx: Context, release: str, holder: str, ports: Collection[int]) -> None:
    """These ports are another program's on the node: the engine service gives all of its ports back.

    Raises: Invalid (too many were, one after the other; nothing has changed).
    """
    async with ctx.store.write() as db:
        before = await host_ports.foreign(db, release, clock.now() - _PATIENCE)
        if len(before) >= MOST_TRIES:
            raise errors.Invalid(
                f"Other programs have the host ports that {release} was given: {', '.join(map(str, before))}.",
                hint="`ss -ltnp` on the node shows whose they are; the settings host_ports.first and "
                "host_ports.last choose another range.",
            )
        await host_ports.give_back(db, [holder], foreign=ports)
    _log.warning("Another program has a host port.", extra={"service": holder, "ports": ",".join(map(str, ports))})


async def settle(ctx: Context, services: Collection[str]) -> None:
    """Only engine services that exist hold ports, or are about to."""
    async with ctx.store.read() as db:
        held = await host_ports.held(db)
    gone = {one.holder for one in held if one.holder not in services and one.taken_at < clock.now() - _MAKING}
    if gone:
        async with ctx.store.write() as db:
            await host_ports.give_back(db, gone)


def _rule(ctx: Context) -> host_ports.Rule:
    told = ctx.settings.host_ports
    return host_ports.Rule(told.first, told.last, told.quarantine)
