"""The catalog: the embedded server in this process, or a Consul that is there."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import timedelta

from pierhead.boot.supervise import Report
from pierhead.catalog import server
from pierhead.catalog.server import Address, Options
from pierhead.kit import errors
from pierhead.settings import Settings
from pierhead.wire.consul import status
from pierhead.wire.consul.client import Consul

NAME = "catalog"
_LOOK = timedelta(seconds=5)


async def run(settings: Settings, report: Report) -> None:
    """The catalog answers at `settings.catalog_url`, until cancelled. Raises: Broken, Unavailable."""
    if settings.catalog.mode != "embedded":
        await _elsewhere(settings, report)
        return
    report.starting("reads what it knew")
    async with server.serving(options(settings)) as address:
        report.ready(address.url)
        await asyncio.Event().wait()


def options(settings: Settings) -> Options:
    """How the embedded server is started for these settings."""
    return Options(
        host=settings.catalog.host,
        port=settings.catalog.port,
        data=settings.home / "catalog",
        datacenter=settings.catalog.datacenter,
        node_name=settings.agent.node_name,
        token=settings.catalog.token,
    )


async def alone(given: Options, ready: Callable[[Address], None]) -> None:
    """The catalog is served by this process until SIGTERM or SIGINT. Raises: Broken, Unavailable."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    async with server.serving(given) as address:
        ready(address)
        await over.wait()


async def _elsewhere(settings: Settings, report: Report) -> None:
    """What a Consul that others run says of itself, looked at again and again."""
    async with Consul(settings.catalog_url, settings.catalog.token) as consul:
        while True:
            try:
                leader = await status.leader(consul)
            except errors.PierError as error:
                report.degraded(error.message, error.hint)
            else:
                _tell(settings, report, leader)
            await asyncio.sleep(_LOOK.total_seconds())


def _tell(settings: Settings, report: Report, leader: str) -> None:
    if leader:
        report.ready(settings.catalog_url)
    else:
        report.degraded("The Consul has no leader.", "Look at its servers: consul operator raft.")
