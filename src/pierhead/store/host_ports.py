"""Host ports that Pierhead gives to instances: one after the other, and none again soon after it was given back.

Whoever was told of an instance may ask for it long after it ended (a Dubbo consumer until its registry forgets it), so
the port that was free the longest is the one to give.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock, errors
from pierhead.store import tables

_ports = tables.host_ports


@dataclass(frozen=True, slots=True)
class Rule:
    """Which ports there are to give."""

    first: int
    last: int
    quarantine: timedelta

    def after(self, port: int) -> Iterable[int]:
        """Every port once, beginning behind `port`."""
        begin = port + 1 if self.first <= port < self.last else self.first
        return [*range(begin, self.last + 1), *range(self.first, begin)]


@dataclass(frozen=True, slots=True)
class Taken:
    port: int
    holder: str
    """The engine service that has it."""
    taken_at: datetime
    left_at: datetime | None
    """None while it is held."""


def choose(taken: Mapping[int, Taken], count: int, rule: Rule, now: datetime) -> Sequence[int]:
    """The next ports to give. Pure. Raises: Conflict (there are not so many)."""
    newest = max(taken.values(), key=lambda one: (one.taken_at, one.port), default=None)
    free = [
        port
        for port in rule.after(newest.port if newest else rule.last)
        if (one := taken.get(port)) is None or (one.left_at is not None and one.left_at + rule.quarantine <= now)
    ]
    if len(free) < count:
        raise errors.Conflict(
            f"All host ports from {rule.first} to {rule.last} are in use, or were so a moment ago.",
            hint="The settings host_ports.first, host_ports.last and host_ports.quarantine say which there are.",
        )
    return free[:count]


async def take(db: AsyncConnection, release: str, count: int, rule: Rule) -> tuple[str, Sequence[int]]:
    """So many ports are held by an engine service that is still to be made: its name, and the ports.

    Raises: Conflict.
    """
    now = clock.now()
    ports = choose({row.port: _taken(row) for row in await db.execute(sa.select(_ports))}, count, rule, now)
    holder = f"{release}-{ports[0]}"
    await db.execute(sa.delete(_ports).where(_ports.c.port.in_(ports)))
    await db.execute(
        sa.insert(_ports), [{"port": port, "holder": holder, "taken_at": now, "is_foreign": False} for port in ports]
    )
    return holder, ports


async def held(db: AsyncConnection) -> Sequence[Taken]:
    """Those that nobody else may have now."""
    return [_taken(row) for row in await db.execute(sa.select(_ports).where(_ports.c.left_at.is_(None)))]


async def give_back(db: AsyncConnection, holders: Collection[str], *, foreign: Collection[int] = ()) -> None:
    """The quarantine of all their ports begins. `foreign` are those that another program turned out to have."""
    mine = sa.and_(_ports.c.holder.in_(holders), _ports.c.left_at.is_(None))
    await db.execute(
        sa.update(_ports).where(mine).values(left_at=clock.now(), is_foreign=_ports.c.port.in_(list(foreign)))
    )


async def foreign(db: AsyncConnection, release: str, since: datetime) -> Sequence[int]:
    """The ports that instances of the release were refused since then, because another program had them."""
    theirs = _ports.c.holder.startswith(f"{release}-", autoescape=True)
    query = sa.select(_ports.c.port).where(theirs, _ports.c.is_foreign, _ports.c.left_at >= since)
    return list((await db.execute(query)).scalars())


def _taken(row: sa.Row[tuple[object, ...]]) -> Taken:
    return Taken(row.port, row.holder, row.taken_at, row.left_at)
