"""The parts of a one-machine Pierhead: what each needs, how it is given its settings, and when it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from pierhead.boot import engine, registry
from pierhead.boot.supervise import Part, Report
from pierhead.catalog import server as catalog_server
from pierhead.kit import errors
from pierhead.settings import Settings
from pierhead.wire.consul import status as consul_status
from pierhead.wire.consul.client import Consul

_LOOK = timedelta(seconds=5)


def of(settings: Settings) -> Sequence[Part]:
    """All parts, each after what it needs."""
    return [
        Part("engine", lambda report: engine.run(settings, report)),
        Part("registry", lambda report: registry.run(settings, report), needs=("engine",)),
        Part("catalog", lambda report: _catalog(settings, report)),
    ]


async def _catalog(settings: Settings, report: Report) -> None:
    if settings.catalog.mode != "embedded":
        await _consul(settings, report)
        return
    options = catalog_server.Options(
        host=settings.catalog.host,
        port=settings.catalog.port,
        data=settings.home / "catalog",
        datacenter=settings.catalog.datacenter,
        token=settings.catalog.token,
    )
    async with catalog_server.serving(options) as address:
        report.ready(address.url)
        await asyncio.Event().wait()


async def _consul(settings: Settings, report: Report) -> None:
    """Reports whether the Consul answers that was configured."""
    async with Consul(settings.catalog_url, settings.catalog.token) as consul:
        while True:
            try:
                leader = await consul_status.leader(consul)
            except errors.PierError as error:
                report.degraded(error.message, "See the settings catalog.url and catalog.token.")
            else:
                report.ready(f"{settings.catalog_url} (leader {leader})")
            await asyncio.sleep(_LOOK.total_seconds())
