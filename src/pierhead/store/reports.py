"""JUnit reports of builds."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.store import tables

_reports = tables.build_reports


async def keep(db: AsyncConnection, build_id: int, summary: str, xml: bytes) -> None:
    """The build has that report, instead of any that it had."""
    await db.execute(sa.delete(_reports).where(_reports.c.build_id == build_id))
    await db.execute(sa.insert(_reports).values(build_id=build_id, summary=summary, xml=xml))


async def find(db: AsyncConnection, build_id: int) -> tuple[str, bytes] | None:
    """The summary, and the report as the tests wrote it."""
    row = (await db.execute(sa.select(_reports).where(_reports.c.build_id == build_id))).first()
    return (row.summary, row.xml) if row else None
