"""Runs: commands that people run once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.model.run import Run, RunState
from pierhead.store import tables

_runs = tables.runs
_OPEN = [RunState.WAITING.value, RunState.RUNNING.value]
_KEPT = 100
"""Runs per app that are remembered."""


async def add(db: AsyncConnection, **values: Any) -> Run:
    """A run that waits for its container; the oldest ones of its app are forgotten."""
    query = sa.insert(_runs).values(**values, state=RunState.WAITING.value, created_at=clock.now()).returning(_runs)
    made = _run((await db.execute(query)).one())
    mine = _runs.c.app == made.app
    last = sa.select(_runs.c.id).where(mine).order_by(_runs.c.id.desc()).offset(_KEPT).limit(1).scalar_subquery()
    await db.execute(sa.delete(_runs).where(mine, _runs.c.id <= last, _runs.c.state.not_in(_OPEN)))
    return made


async def find(db: AsyncConnection, run_id: int) -> Run | None:
    row = (await db.execute(sa.select(_runs).where(_runs.c.id == run_id))).first()
    return _run(row) if row else None


async def listing(db: AsyncConnection, app: str) -> Sequence[Run]:
    """The newest first."""
    query = sa.select(_runs).where(_runs.c.app == app).order_by(_runs.c.id.desc())
    return [_run(row) for row in await db.execute(query)]


async def unfinished(db: AsyncConnection) -> Sequence[Run]:
    """Those of all apps that have not ended, the oldest first."""
    query = sa.select(_runs).where(_runs.c.state.in_(_OPEN)).order_by(_runs.c.id)
    return [_run(row) for row in await db.execute(query)]


async def change(db: AsyncConnection, run_id: int, state: RunState, **values: Any) -> bool:
    """It is in that state. False when it had ended, and nothing was changed."""
    if state.has_ended:
        values["ended_at"] = clock.now()
    query = sa.update(_runs).where(_runs.c.id == run_id, _runs.c.state.in_(_OPEN))
    return (await db.execute(query.values(state=state.value, **values))).rowcount == 1


def _run(row: Any) -> Run:
    return Run(
        id=row.id,
        app=row.app,
        environment=row.environment,
        release_id=row.release_id,
        author=row.author,
        command=tuple(row.command),
        variables=row.variables,
        is_watched=row.is_watched,
        state=RunState(row.state),
        reason=row.reason,
        instance=row.instance,
        exit_code=row.exit_code,
        output=row.output,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
