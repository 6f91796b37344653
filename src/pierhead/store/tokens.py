"""API tokens, by their SHA-256 only: the text itself is never stored here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.store import tables
from pierhead.store.upsert import insert

_tokens = tables.tokens


@dataclass(frozen=True, slots=True)
class Holder:
    name: str
    created_at: datetime


def digest(token: str) -> str:
    """What is stored of a token. Tokens are 256 random bits, so a plain hash cannot be guessed back."""
    return hashlib.sha256(token.encode()).hexdigest()


async def ensure(db: AsyncConnection, name: str, token: str) -> None:
    """`token` is the only one of that name; who held an older one is refused from now on."""
    await db.execute(sa.delete(_tokens).where(_tokens.c.name == name, _tokens.c.digest != digest(token)))
    values = {"name": name, "digest": digest(token), "created_at": clock.now()}
    await db.execute(insert(db, _tokens).values(**values).on_conflict_do_nothing())


async def holder(db: AsyncConnection, token: str) -> str | None:
    """The name of who holds `token`; None for an unknown one."""
    query = sa.select(_tokens.c.name).where(_tokens.c.digest == digest(token))
    return (await db.execute(query)).scalar_one_or_none()


async def listing(db: AsyncConnection) -> Sequence[Holder]:
    """By name."""
    rows = await db.execute(sa.select(_tokens.c.name, _tokens.c.created_at).order_by(_tokens.c.name))
    return [Holder(row.name, row.created_at) for row in rows]


async def remove(db: AsyncConnection, name: str) -> bool:
    """Nobody holds a token of that name. False when nobody did."""
    return (await db.execute(sa.delete(_tokens).where(_tokens.c.name == name))).rowcount > 0
