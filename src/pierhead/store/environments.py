"""Environments: what holds in them, whatever runs there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.model.environment import STANDARD, Environment, Freeze
from pierhead.store import tables
from pierhead.store.upsert import insert

_settings = tables.environment_settings


async def known(db: AsyncConnection) -> Mapping[str, Environment]:
    """The standard ones and those that were made, by name, in that order."""
    rows = await db.execute(sa.select(_settings).order_by(_settings.c.created_at))
    return {name: Environment(name) for name in STANDARD} | {row.name: _environment(row) for row in rows}


async def find(db: AsyncConnection, name: str) -> Environment:
    """One that nothing was said of is as `pier.yaml` alone has it."""
    row = (await db.execute(sa.select(_settings).where(_settings.c.name == name))).first()
    return _environment(row) if row else Environment(name)


async def put(db: AsyncConnection, environment: Environment) -> None:
    """This holds from now on."""
    values = {
        "domain": environment.domain,
        "replicas": environment.replicas,
        "labels": dict(environment.labels),
        "approvals": environment.approvals,
        "not_author": environment.not_author,
        "freezes": [{"begin": one.begin, "end": one.end, "reason": one.reason} for one in environment.freezes],
    }
    query = insert(db, _settings).values(name=environment.name, created_at=clock.now(), **values)
    await db.execute(query.on_conflict_do_update(index_elements=["name"], set_=values))


async def delete(db: AsyncConnection, name: str) -> None:
    await db.execute(sa.delete(_settings).where(_settings.c.name == name))


def _environment(row: Any) -> Environment:
    return Environment(
        name=row.name,
        domain=row.domain,
        replicas=row.replicas,
        labels=row.labels,
        approvals=row.approvals,
        not_author=row.not_author,
        freezes=tuple(Freeze(one["begin"], one["end"], one["reason"]) for one in row.freezes),
    )
