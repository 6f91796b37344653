"""What was done, line by line: the build log and the steps of deployments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import clock
from pierhead.store import tables

_journal = tables.journal


class Subject(StrEnum):
    BUILD = "build"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class Entry:
    id: int
    """Grows with time; where a reader left off."""
    at: datetime
    step: str
    """`fetch`, `dependencies`, `push`, `start`, `wait`, `failed` …"""
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """All entries of one step."""

    name: str
    began_at: datetime
    last_at: datetime
    lines: int


async def add(db: AsyncConnection, subject: Subject, subject_id: int, step: str, text: str) -> None:
    values = {"subject": subject.value, "subject_id": subject_id, "step": step, "text": text}
    await db.execute(sa.insert(_journal).values(**values, at=clock.now()))


async def add_all(db: AsyncConnection, subject: Subject, subject_id: int, lines: Sequence[tuple[str, str]]) -> None:
    """Each line is a step and a text."""
    same = {"subject": subject.value, "subject_id": subject_id, "at": clock.now()}
    await db.execute(sa.insert(_journal), [{**same, "step": step, "text": text} for step, text in lines])


async def steps(db: AsyncConnection, subject: Subject, subject_id: int) -> Sequence[Step]:
    """In the order in which they began."""
    column = _journal.c
    query = (
        sa.select(column.step, sa.func.min(column.at), sa.func.max(column.at), sa.func.count())
        .where(column.subject == subject.value, column.subject_id == subject_id)
        .group_by(column.step)
        .order_by(sa.func.min(column.id))
    )
    return [Step(*row) for row in await db.execute(query)]


async def after(
    db: AsyncConnection, subject: Subject, subject_id: int, entry_id: int, limit: int = 500
) -> Sequence[Entry]:
    """Up to `limit` entries that came after `entry_id`, in order."""
    query = (
        sa.select(_journal)
        .where(_journal.c.subject == subject.value, _journal.c.subject_id == subject_id, _journal.c.id > entry_id)
        .order_by(_journal.c.id)
        .limit(limit)
    )
    return [Entry(row.id, row.at, row.step, row.text) for row in await db.execute(query)]
