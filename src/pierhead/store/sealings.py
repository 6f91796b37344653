"""Everything that is sealed, whatever it is: the columns of the type `Sealed`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.store import tables


@dataclass(frozen=True, slots=True)
class Sealing:
    """One sealed value, and where it is."""

    column: sa.Column[Any]
    key: Mapping[str, Any]
    """Of its row."""
    ciphertext: bytes

    def __str__(self) -> str:
        """`secrets ciphertext of notes, dev, KEY, 1`"""
        return f"{self.column.table.name} {self.column.name} of {', '.join(map(str, self.key.values()))}"


async def left(db: AsyncConnection, prefix: bytes) -> int:
    """How many do not begin with `prefix`."""
    counts = [sa.select(sa.func.count()).where(_is_other(column, prefix)) for column in _columns()]
    return sum([int((await db.execute(count)).scalar_one()) for count in counts])


async def are_there(db: AsyncConnection, prefix: bytes) -> bool:
    """Something begins with `prefix`."""
    counts = [sa.select(sa.func.count()).where(_begins(column, prefix)) for column in _columns()]
    return any([int((await db.execute(count)).scalar_one()) for count in counts])


async def others(db: AsyncConnection, prefix: bytes, limit: int) -> Sequence[Sealing]:
    """At most so many of those that do not begin with `prefix`."""
    found: list[Sealing] = []
    for column in _columns():
        keys = list(column.table.primary_key.columns)
        query = sa.select(*keys, column.label("sealed")).where(_is_other(column, prefix)).limit(limit - len(found))
        for row in await db.execute(query):
            found.append(Sealing(column, {key.name: row._mapping[key.name] for key in keys}, row.sealed))
    return found


async def put(db: AsyncConnection, sealing: Sealing, ciphertext: bytes) -> None:
    """It is sealed like that."""
    table = sealing.column.table
    where = [table.c[name] == value for name, value in sealing.key.items()]
    await db.execute(sa.update(table).where(*where).values({sealing.column: ciphertext}))


def _columns() -> Iterator[sa.Column[Any]]:
    for table in tables.metadata.sorted_tables:
        yield from (column for column in table.columns if isinstance(column.type, tables.Sealed))


def _is_other(column: sa.Column[Any], prefix: bytes) -> sa.ColumnElement[bool]:
    return sa.and_(column.is_not(None), sa.not_(_begins(column, prefix)))


def _begins(column: sa.Column[Any], prefix: bytes) -> sa.ColumnElement[bool]:
    begin = sa.func.substr(column, 1, len(prefix), type_=sa.LargeBinary)
    return begin == sa.literal(prefix, sa.LargeBinary)
