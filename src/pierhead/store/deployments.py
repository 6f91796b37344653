"""Deployments: the moves of environments from release to release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.model.release import DeploymentState
from pierhead.store import journal, tables
from pierhead.store.journal import Subject

_deployments = tables.deployments
_OPEN = [DeploymentState.WAITING.value, DeploymentState.RUNNING.value]


@dataclass(frozen=True, slots=True)
class Deployment:
    id: int
    app: str
    environment: str
    kind: str
    """`deploy`, `config`, `restart`, `promote` or `rollback`."""
    from_release_id: int | None
    to_release_id: int
    state: DeploymentState
    reason: str
    """What it waits for, or why it ended as it did."""
    created_at: datetime
    ended_at: datetime | None
    author: str = ""
    """Who asked for it, or pushed what it is of; empty: nobody is known."""
    share: int | None = None
    """Percent of the requests that the new release is given; None: each instance counts the same."""
    share_at: datetime | None = None
    continued: int | None = None
    """The share from which a person let it go on."""
    approvals: tuple[str, ...] = ()
    """Who let it begin."""
    override: str = ""
    """Who let it begin in a freeze, and why."""
    hooks: Mapping[str, str] = field(default_factory=dict)
    """`pre_deploy`, `post_deploy` → `succeeded`, or why it failed."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is asked for."""

    kind: str
    from_id: int | None
    to_id: int
    author: str = ""


async def add(db: AsyncConnection, app: str, environment: str, move: Move) -> Deployment:
    """A waiting deployment; those of the same environment that had not ended are superseded by it."""
    query = (
        sa.insert(_deployments)
        .values(
            app=app,
            environment=environment,
            from_release_id=move.from_id,
            to_release_id=move.to_id,
            kind=move.kind,
            author=move.author,
            state=DeploymentState.WAITING.value,
            reason="It was asked for just now.",
            created_at=clock.now(),
        )
        .returning(_deployments)
    )
    added = _deployment((await db.execute(query)).one())
    why = f"Deployment {added.id}{f' of {move.author}' if move.author else ''} came after it."
    superseded = {"state": DeploymentState.SUPERSEDED.value, "ended_at": clock.now(), "reason": why}
    older = sa.and_(_of(app, environment), _is_open(), _deployments.c.id < added.id)
    ending = sa.update(_deployments).where(older).values(**superseded).returning(_deployments.c.id)
    for one in (await db.execute(ending)).scalars().all():
        await journal.add(db, Subject.DEPLOYMENT, one, DeploymentState.SUPERSEDED.value, why)
    return added


async def find(db: AsyncConnection, deployment_id: int) -> Deployment | None:
    row = (await db.execute(sa.select(_deployments).where(_deployments.c.id == deployment_id))).first()
    return _deployment(row) if row else None


async def current(db: AsyncConnection, app: str, environment: str) -> Deployment | None:
    """The one that has not ended; None when nothing moves."""
    query = sa.select(_deployments).where(_of(app, environment), _is_open()).order_by(_deployments.c.id.desc())
    row = (await db.execute(query)).first()
    return _deployment(row) if row else None


async def unfinished(db: AsyncConnection) -> Sequence[Deployment]:
    """Those that have not ended."""
    return [_deployment(row) for row in await db.execute(sa.select(_deployments).where(_is_open()))]


async def listing(db: AsyncConnection, app: str, environment: str = "", limit: int = 100) -> Sequence[Deployment]:
    """The newest first."""
    query = sa.select(_deployments).where(_deployments.c.app == app).order_by(_deployments.c.id.desc()).limit(limit)
    if environment:
        query = query.where(_deployments.c.environment == environment)
    return [_deployment(row) for row in await db.execute(query)]


async def set_state(db: AsyncConnection, deployment_id: int, state: DeploymentState, reason: str = "") -> bool:
    """False when it has ended already, and nothing was changed."""
    values: dict[str, Any] = {"state": state.value, "reason": reason}
    if state.has_ended:
        values["ended_at"] = clock.now()
    query = sa.update(_deployments).where(_deployments.c.id == deployment_id, _is_open()).values(**values)
    return (await db.execute(query)).rowcount == 1


async def set_reason(db: AsyncConnection, deployment_id: int, reason: str) -> None:
    """It waits for that; empty: it gets further."""
    state = DeploymentState.WAITING if reason else DeploymentState.RUNNING
    values = {"state": state.value, "reason": reason}
    await db.execute(sa.update(_deployments).where(_deployments.c.id == deployment_id, _is_open()).values(**values))


async def mover(db: AsyncConnection, deployment_id: int) -> str | None:
    """The server that claimed the deployment's environment last, also when its lease is over; None: nobody has."""
    column = tables.environments.c
    query = sa.select(column.claimed_by).join(
        _deployments, sa.and_(_deployments.c.app == column.app, _deployments.c.environment == column.name)
    )
    return (await db.execute(query.where(_deployments.c.id == deployment_id))).scalar_one_or_none()


async def set_share(db: AsyncConnection, deployment_id: int, share: int) -> None:
    """The new release is given that percentage of the requests, from now on."""
    values = {"share": share, "share_at": clock.now()}
    await db.execute(sa.update(_deployments).where(_deployments.c.id == deployment_id, _is_open()).values(**values))


async def set_continued(db: AsyncConnection, deployment_id: int, share: int) -> bool:
    """It need not wait at that share any more. False when it has ended."""
    query = sa.update(_deployments).where(_deployments.c.id == deployment_id, _is_open()).values(continued=share)
    return (await db.execute(query)).rowcount == 1


async def approve(db: AsyncConnection, deployment_id: int, names: Sequence[str]) -> bool:
    """These let it begin. False when it has ended."""
    query = sa.update(_deployments).where(_deployments.c.id == deployment_id, _is_open())
    return (await db.execute(query.values(approvals=list(names)))).rowcount == 1


async def set_override(db: AsyncConnection, deployment_id: int, override: str) -> bool:
    """Freezes do not hold for it. False when it has ended."""
    query = sa.update(_deployments).where(_deployments.c.id == deployment_id, _is_open()).values(override=override)
    return (await db.execute(query)).rowcount == 1


async def set_hooks(db: AsyncConnection, deployment_id: int, hooks: Mapping[str, str]) -> None:
    query = sa.update(_deployments).where(_deployments.c.id == deployment_id, _is_open())
    await db.execute(query.values(hooks=dict(hooks)))


def _of(app: str, environment: str) -> sa.ColumnElement[bool]:
    return sa.and_(_deployments.c.app == app, _deployments.c.environment == environment)


def _is_open() -> sa.ColumnElement[bool]:
    return _deployments.c.state.in_(_OPEN)


def _deployment(row: Any) -> Deployment:
    return Deployment(
        id=row.id,
        app=row.app,
        environment=row.environment,
        kind=row.kind,
        from_release_id=row.from_release_id,
        to_release_id=row.to_release_id,
        state=DeploymentState(row.state),
        reason=row.reason,
        created_at=row.created_at,
        ended_at=row.ended_at,
        author=row.author,
        share=row.share,
        share_at=row.share_at,
        continued=row.continued,
        approvals=tuple(row.approvals),
        override=row.override,
        hooks=row.hooks,
    )
