"""Builds: a queue that survives restarts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.model.build import Build, BuildState
from pierhead.store import tables

_builds = tables.builds
_OPEN = [BuildState.QUEUED.value, BuildState.RUNNING.value]


async def add(db: AsyncConnection, app: str, environment: str, source: str, ref: str, *, author: str = "") -> Build:
    """A queued build."""
    values = {"app": app, "environment": environment, "source": source, "ref": ref, "author": author[:64]}
    query = (
        sa.insert(_builds).values(**values, state=BuildState.QUEUED.value, created_at=clock.now()).returning(_builds)
    )
    return _build((await db.execute(query)).one())


async def find(db: AsyncConnection, build_id: int) -> Build | None:
    row = (await db.execute(sa.select(_builds).where(_builds.c.id == build_id))).first()
    return _build(row) if row else None


async def listing(db: AsyncConnection, app: str, limit: int) -> Sequence[Build]:
    """The newest first."""
    query = sa.select(_builds).order_by(_builds.c.id.desc()).limit(limit)
    if app:
        query = query.where(_builds.c.app == app)
    return [_build(row) for row in await db.execute(query)]


async def claim(db: AsyncConnection, owner: str) -> Build | None:
    """The oldest queued build, now running and `owner`'s; None when the queue is empty.

    One build per app at a time, so that commits are released in the order they came.
    """
    busy = sa.select(_builds.c.app).where(_builds.c.state == BuildState.RUNNING.value)
    oldest = (
        sa.select(_builds.c.id)
        .where(_builds.c.state == BuildState.QUEUED.value, _builds.c.app.not_in(busy))
        .order_by(_builds.c.id)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        sa.update(_builds)
        .where(_builds.c.id == oldest)
        .values(state=BuildState.RUNNING.value, claimed_by=owner, attempts=_builds.c.attempts + 1)
        .returning(_builds)
    )
    row = (await db.execute(query)).first()
    return _build(row) if row else None


async def running(db: AsyncConnection) -> int:
    """How many run."""
    query = sa.select(sa.func.count()).where(_builds.c.state == BuildState.RUNNING.value)
    return int((await db.execute(query)).scalar_one())


async def recover(db: AsyncConnection, owner: str, most_attempts: int) -> tuple[Sequence[int], Sequence[int]]:
    """What `owner` left running when it died: queued again, or failed after `most_attempts`. The ids of both."""
    mine = sa.and_(_builds.c.state == BuildState.RUNNING.value, _builds.c.claimed_by == owner)
    given_up = await db.execute(
        sa.update(_builds)
        .where(mine, _builds.c.attempts >= most_attempts)
        .values(
            state=BuildState.FAILED.value,
            reason=f"The server died {most_attempts} times while it built this.",
            ended_at=clock.now(),
        )
        .returning(_builds.c.id)
    )
    failed = given_up.scalars().all()
    again = await db.execute(
        sa.update(_builds).where(mine).values(state=BuildState.QUEUED.value).returning(_builds.c.id)
    )
    return again.scalars().all(), failed


async def update(db: AsyncConnection, build_id: int, **values: Any) -> bool:
    """False when the build has ended already (cancelled, for instance) and nothing was changed."""
    query = sa.update(_builds).where(_builds.c.id == build_id, _builds.c.state.in_(_OPEN)).values(**values)
    return (await db.execute(query)).rowcount == 1


async def finish(db: AsyncConnection, build_id: int, state: BuildState, **values: Any) -> bool:
    """False when it had ended already."""
    return await update(db, build_id, state=state.value, ended_at=clock.now(), **values)


def _build(row: Any) -> Build:
    return Build(
        id=row.id,
        app=row.app,
        environment=row.environment,
        source=row.source,
        ref=row.ref,
        commit=row.commit,
        subject=row.subject,
        state=BuildState(row.state),
        image=row.image,
        reason=row.reason,
        deployment=row.deployment_id,
        created_at=row.created_at,
        ended_at=row.ended_at,
        author=row.author,
    )
