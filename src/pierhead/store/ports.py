"""Service ports: given to one port of one app in one environment, and kept while the app exists."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from pierhead.kit import errors
from pierhead.store import tables

_ports = tables.service_ports
RANGE = range(7000, 8000)
"""Outside the kernel's ephemeral ports, away from the ports of the known services."""


async def reserve(db: AsyncConnection, app: str, environment: str, name: str, wanted: int | None) -> int:
    """The service port of that port: the wanted one, the one it has, or a free one.

    Raises: Conflict (somebody else has the wanted one, or none is free).
    """
    mine = sa.and_(_ports.c.app == app, _ports.c.environment == environment, _ports.c.name == name)
    held = (await db.execute(sa.select(_ports.c.port).where(mine))).scalar_one_or_none()
    if held is not None and wanted in (None, held):
        return int(held)
    taken = {row.port: row for row in await db.execute(sa.select(_ports))}
    if wanted is not None and (other := taken.get(wanted)):
        raise errors.Conflict(
            f"Service port {wanted} belongs to {other.app} ({other.environment}, port {other.name}).",
            hint=f"Leave ports.{name}.service_port out to get a free one, or choose another.",
        )
    port = wanted or next((port for port in RANGE if port not in taken), None)
    if port is None:
        raise errors.Conflict(
            f"All service ports from {RANGE.start} to {RANGE.stop - 1} are taken.",
            hint="Name one outside that range: ports.<name>.service_port.",
        )
    await db.execute(sa.delete(_ports).where(mine))
    await db.execute(sa.insert(_ports).values(port=port, app=app, environment=environment, name=name))
    return port
