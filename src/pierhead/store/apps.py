"""Apps and their environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.store import tables
from pierhead.store.upsert import insert

_environments = tables.environments


@dataclass(frozen=True, slots=True)
class App:
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Environment:
    """Where an app runs, and what should run there."""

    app: str
    name: str
    release_id: int | None
    """The release that the last successful deployment brought; None before the first."""
    replicas: int | None
    """What `pier scale` asked for; None: what the release says."""
    is_in_maintenance: bool
    """What `pier maintenance` asked for."""


async def ensure(db: AsyncConnection, app: str, environment: str = "") -> None:
    """The app (and the environment, where one is named) exists."""
    await db.execute(insert(db, tables.apps).values(name=app, created_at=clock.now()).on_conflict_do_nothing())
    if environment:
        await db.execute(
            insert(db, _environments).values(app=app, name=environment, last_number=0).on_conflict_do_nothing()
        )


async def listing(db: AsyncConnection) -> Sequence[App]:
    rows = await db.execute(sa.select(tables.apps).order_by(tables.apps.c.name))
    return [App(row.name, row.created_at) for row in rows]


async def find(db: AsyncConnection, app: str) -> App | None:
    row = (await db.execute(sa.select(tables.apps).where(tables.apps.c.name == app))).first()
    return App(row.name, row.created_at) if row else None


async def delete(db: AsyncConnection, app: str) -> None:
    """Nothing is left of the app: its environments, releases, builds and deployments go with it."""
    await db.execute(sa.delete(tables.deployments).where(tables.deployments.c.app == app))
    await db.execute(sa.delete(_environments).where(_environments.c.app == app))
    await db.execute(sa.delete(tables.apps).where(tables.apps.c.name == app))


async def environments(db: AsyncConnection, app: str = "") -> Sequence[Environment]:
    """Every environment, or those of one app, by name."""
    query = sa.select(_environments).order_by(_environments.c.app, _environments.c.name)
    if app:
        query = query.where(_environments.c.app == app)
    return [_environment(row) for row in await db.execute(query)]


async def environment(db: AsyncConnection, app: str, name: str) -> Environment | None:
    row = (await db.execute(sa.select(_environments).where(_is(app, name)))).first()
    return _environment(row) if row else None


async def set_release(db: AsyncConnection, app: str, name: str, release_id: int) -> None:
    await db.execute(sa.update(_environments).where(_is(app, name)).values(release_id=release_id))


async def set_replicas(db: AsyncConnection, app: str, name: str, replicas: int | None) -> None:
    await db.execute(sa.update(_environments).where(_is(app, name)).values(replicas=replicas))


async def set_maintenance(db: AsyncConnection, app: str, name: str, *, is_on: bool) -> None:
    await db.execute(sa.update(_environments).where(_is(app, name)).values(is_in_maintenance=is_on))


async def next_number(db: AsyncConnection, app: str, name: str) -> int:
    """The number of the next release; never given twice, also when a release was removed since."""
    query = (
        sa.update(_environments)
        .where(_is(app, name))
        .values(last_number=_environments.c.last_number + 1)
        .returning(_environments.c.last_number)
    )
    return int((await db.execute(query)).scalar_one())


async def claim(db: AsyncConnection, app: str, name: str, owner: str, until: datetime) -> bool:
    """True when `owner` alone may change this environment's engine services until then."""
    column = _environments.c
    free = sa.or_(column.claimed_by.is_(None), column.claimed_by == owner, column.claimed_until < clock.now())
    query = sa.update(_environments).where(_is(app, name), free).values(claimed_by=owner, claimed_until=until)
    return (await db.execute(query)).rowcount == 1


def _is(app: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(_environments.c.app == app, _environments.c.name == name)


def _environment(row: sa.Row[tuple[object, ...]]) -> Environment:
    return Environment(row.app, row.name, row.release_id, row.replicas, row.is_in_maintenance)
