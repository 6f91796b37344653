"""Secrets: every version kept as ciphertext; what it is encrypted with is not in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.store import tables

_secrets = tables.secrets


@dataclass(frozen=True, slots=True)
class Secret:
    name: str
    version: int
    ciphertext: bytes
    created_at: datetime


async def add(db: AsyncConnection, app: str, environment: str, name: str, ciphertext: bytes) -> int:
    """The number of the new version."""
    column = _secrets.c
    mine = (column.app == app, column.environment == environment, column.name == name)
    last = (await db.execute(sa.select(sa.func.max(column.version)).where(*mine))).scalar_one_or_none()
    values = {"app": app, "environment": environment, "name": name, "ciphertext": ciphertext}
    await db.execute(sa.insert(_secrets).values(**values, version=(last or 0) + 1, created_at=clock.now()))
    return (last or 0) + 1


async def find(db: AsyncConnection, app: str, environment: str, name: str, version: int) -> Secret | None:
    column = _secrets.c
    mine = (column.app == app, column.environment == environment, column.name == name, column.version == version)
    row = (await db.execute(sa.select(_secrets).where(*mine))).first()
    return Secret(row.name, row.version, row.ciphertext, row.created_at) if row else None


async def newest(db: AsyncConnection, app: str, environment: str) -> Mapping[str, Secret]:
    """The newest version of each, by name."""
    query = (
        sa.select(_secrets)
        .where(_secrets.c.app == app, _secrets.c.environment == environment)
        .order_by(_secrets.c.version)
    )
    return {row.name: Secret(row.name, row.version, row.ciphertext, row.created_at) for row in await db.execute(query)}


async def every(db: AsyncConnection, app: str, environment: str = "") -> Sequence[Secret]:
    """Every version of each, in one environment or in all."""
    query = sa.select(_secrets).where(_secrets.c.app == app)
    if environment:
        query = query.where(_secrets.c.environment == environment)
    return [Secret(row.name, row.version, row.ciphertext, row.created_at) for row in await db.execute(query)]
