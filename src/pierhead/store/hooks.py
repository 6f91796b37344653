"""Webhooks of apps, and the deliveries that came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.model.hook import Hook, RefKind, Rule
from pierhead.store import tables
from pierhead.store.upsert import insert

_hooks, _deliveries = tables.hooks, tables.deliveries
_KEPT = 10_000
"""Deliveries per app that are remembered."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was done with a request of the git server."""

    received_at: datetime
    provider: str
    ref: str
    outcome: str
    build_id: int | None


async def put(db: AsyncConnection, hook: Hook, ciphertext: bytes) -> None:
    """The app has that webhook; the secret only where it had none."""
    values = {
        "source": hook.source,
        "rules": [[rule.kind.value, rule.pattern, rule.environment] for rule in hook.rules],
        "paths": list(hook.paths),
    }
    added = insert(db, _hooks).values(app=hook.app, ciphertext=ciphertext, created_at=hook.created_at, **values)
    await db.execute(added.on_conflict_do_update(index_elements=["app"], set_=values))


async def set_secret(db: AsyncConnection, app: str, ciphertext: bytes) -> None:
    await db.execute(sa.update(_hooks).where(_hooks.c.app == app).values(ciphertext=ciphertext))


async def find(db: AsyncConnection, app: str) -> tuple[Hook, bytes] | None:
    """The webhook, and its secret as ciphertext."""
    row = (await db.execute(sa.select(_hooks).where(_hooks.c.app == app))).first()
    return (_hook(row), row.ciphertext) if row else None


async def delete(db: AsyncConnection, app: str) -> bool:
    """False when there was none."""
    await db.execute(sa.delete(_deliveries).where(_deliveries.c.app == app))
    return (await db.execute(sa.delete(_hooks).where(_hooks.c.app == app))).rowcount == 1


async def delivered(db: AsyncConnection, app: str, key: str) -> Delivery | None:
    """What was done with the delivery of that key; None when it never came."""
    query = sa.select(_deliveries).where(_deliveries.c.app == app, _deliveries.c.key == key)
    row = (await db.execute(query)).first()
    return _delivery(row) if row else None


async def remember(db: AsyncConnection, app: str, key: str, delivery: Delivery) -> None:
    """The delivery is known; the oldest ones are forgotten."""
    values = {"received_at": delivery.received_at, "provider": delivery.provider, "ref": delivery.ref}
    values |= {"outcome": delivery.outcome, "build_id": delivery.build_id}
    await db.execute(sa.insert(_deliveries).values(app=app, key=key, **values))
    last = (
        sa.select(_deliveries.c.id)
        .where(_deliveries.c.app == app)
        .order_by(_deliveries.c.id.desc())
        .offset(_KEPT)
        .limit(1)
        .scalar_subquery()
    )
    await db.execute(sa.delete(_deliveries).where(_deliveries.c.app == app, _deliveries.c.id <= last))


async def deliveries(db: AsyncConnection, app: str, limit: int = 20) -> Sequence[Delivery]:
    """The newest first."""
    query = sa.select(_deliveries).where(_deliveries.c.app == app).order_by(_deliveries.c.id.desc()).limit(limit)
    return [_delivery(row) for row in await db.execute(query)]


async def last_source(db: AsyncConnection, app: str) -> str:
    """The git URL of the app's newest build that had one; empty for none."""
    column = tables.builds.c
    query = sa.select(column.source).where(column.app == app, column.source.not_like("upload:%"))
    return (await db.execute(query.order_by(column.id.desc()).limit(1))).scalar_one_or_none() or ""


def received(provider: str, ref: str, outcome: str, build_id: int | None) -> Delivery:
    """One that has come now."""
    return Delivery(clock.now(), provider, ref, outcome, build_id)


def _hook(row: Any) -> Hook:
    rules = tuple(Rule(RefKind(kind), pattern, environment) for kind, pattern, environment in row.rules)
    return Hook(row.app, row.source, rules, tuple(row.paths), row.created_at)


def _delivery(row: Any) -> Delivery:
    return Delivery(row.received_at, row.provider, row.ref, row.outcome, row.build_id)
