"""Config: the variables of an app, for all its environments and for each; every revision is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.store import tables

_revisions = tables.config_revisions
EVERYWHERE = ""
"""In place of an environment: what holds in all of them."""


@dataclass(frozen=True, slots=True)
class Revision:
    app: str
    number: int
    """Counts the app's changes, whichever environment they are for."""
    environment: str
    """Empty: all environments."""
    author: str
    changes: Mapping[str, str | None]
    """Name → new value; None: it was removed."""
    variables: Mapping[str, str]
    """All variables of that environment alone (or of all alone) since this revision."""
    created_at: datetime


async def add(
    db: AsyncConnection, app: str, environment: str, author: str, changes: Mapping[str, str | None]
) -> Revision:
    """The app's next revision."""
    before = await scope(db, app, environment)
    variables = {**before, **changes}
    last = await db.execute(sa.select(sa.func.max(_revisions.c.number)).where(_revisions.c.app == app))
    values = {
        "app": app,
        "number": (last.scalar_one_or_none() or 0) + 1,
        "environment": environment,
        "author": author,
        "changes": dict(changes),
        "variables": {name: value for name, value in variables.items() if value is not None},
        "created_at": clock.now(),
    }
    return _revision((await db.execute(sa.insert(_revisions).values(**values).returning(_revisions))).one())


async def scope(db: AsyncConnection, app: str, environment: str, number: int | None = None) -> Mapping[str, str]:
    """The variables that were set for exactly that environment, at revision `number`; None: now."""
    found = await _newest(db, app, environment, number)
    return found.variables if found else {}


async def effective(
    db: AsyncConnection, app: str, environment: str, number: int | None = None
) -> tuple[int, Mapping[str, str]]:
    """The revision that holds in the environment, 0 without any, and its variables: its own before those of all."""
    found = [await _newest(db, app, which, number) for which in (EVERYWHERE, environment)]
    held = [one for one in found if one]
    variables = {name: value for one in held for name, value in one.variables.items()}
    return max((one.number for one in held), default=0), variables


async def listing(db: AsyncConnection, app: str, limit: int = 1000) -> Sequence[Revision]:
    """The newest first."""
    query = sa.select(_revisions).where(_revisions.c.app == app).order_by(_revisions.c.number.desc()).limit(limit)
    return [_revision(row) for row in await db.execute(query)]


async def _newest(db: AsyncConnection, app: str, environment: str, number: int | None) -> Revision | None:
    column = _revisions.c
    query = sa.select(_revisions).where(column.app == app, column.environment == environment)
    if number is not None:
        query = query.where(column.number <= number)
    row = (await db.execute(query.order_by(column.number.desc()).limit(1))).first()
    return _revision(row) if row else None


def _revision(row: Any) -> Revision:
    return Revision(row.app, row.number, row.environment, row.author, row.changes, row.variables, row.created_at)
