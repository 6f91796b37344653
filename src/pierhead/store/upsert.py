"""An insert that knows what to do when the row is there already: databases have one each, and say it alike."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def insert(db: AsyncConnection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """With `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return postgresql.insert(table) if db.dialect.name == "postgresql" else sqlite.insert(table)
