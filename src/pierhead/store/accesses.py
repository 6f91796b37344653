"""With what apps' repositories are fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.store import tables
from pierhead.store.upsert import insert

_accesses = tables.git_accesses


@dataclass(frozen=True, slots=True)
class Access:
    """Texts are empty, ciphertexts None, where nothing was given."""

    app: str
    public_key: str = ""
    known_hosts: str = ""
    host: str = ""
    username: str = ""
    private_key: bytes | None = None
    password: bytes | None = None


async def find(db: AsyncConnection, app: str) -> Access:
    row = (await db.execute(sa.select(_accesses).where(_accesses.c.app == app))).first()
    return Access(**row._mapping) if row else Access(app)


async def put(db: AsyncConnection, app: str, **values: Any) -> None:
    """Those fields have those values."""
    added = insert(db, _accesses).values(app=app, **values)
    await db.execute(added.on_conflict_do_update(index_elements=["app"], set_=values))


async def delete(db: AsyncConnection, app: str) -> bool:
    """False when there was nothing."""
    return (await db.execute(sa.delete(_accesses).where(_accesses.c.app == app))).rowcount == 1
