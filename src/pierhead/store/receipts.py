"""Receipts: one per deployment, written while it moves and kept with it."""

from __future__ import annotations

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.model.receipt import Receipt
from pierhead.store import tables
from pierhead.store.upsert import insert

_receipts = tables.receipts
_RECEIPT = TypeAdapter(Receipt)


async def find(db: AsyncConnection, deployment_id: int) -> Receipt | None:
    query = sa.select(_receipts.c.receipt).where(_receipts.c.deployment_id == deployment_id)
    row = (await db.execute(query)).first()
    return _RECEIPT.validate_python(row.receipt) if row else None


async def put(db: AsyncConnection, deployment_id: int, receipt: Receipt) -> None:
    """This is the deployment's receipt now."""
    value = _RECEIPT.dump_python(receipt, mode="json")
    query = insert(db, _receipts).values(deployment_id=deployment_id, receipt=value)
    await db.execute(query.on_conflict_do_update(index_elements=["deployment_id"], set_={"receipt": value}))
