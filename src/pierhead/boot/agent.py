"""The agent of a node: by itself, or as a part of a one-machine Pierhead."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from pierhead.agent import loop
from pierhead.agent.options import Options
from pierhead.boot import catalog, home
from pierhead.boot.supervise import Report
from pierhead.kit import address
from pierhead.settings import Settings

NAME = "agent"


async def run(settings: Settings, report: Report) -> None:
    """The catalog holds the endpoints of this machine's containers, until cancelled. Raises: Conflict, Invalid."""
    report.starting("reads engine and catalog")

    def tell(problem: str) -> None:
        if problem:
            report.degraded(problem, "It goes on by itself when that answers again, or is mended.")
        else:
            report.ready(settings.engine.socket)

    await loop.run(options(settings), tell)


def options(settings: Settings) -> Options:
    """How the agent of this machine is started for these settings. Raises: Conflict (no address can be chosen)."""
    return Options(
        engine=settings.engine.socket,
        catalog_url=settings.catalog_url,
        catalog_token=settings.catalog.token,
        catalog_tls=catalog.tls(settings),
        advertise=settings.agent.advertise or settings.engine.advertise or address.own(),
        advertise_ipv6=settings.agent.advertise_ipv6,
        node_name=settings.agent.node_name,
        cluster=settings.cluster,
        data=home.agent_folder(settings.home),
        services=settings.agent.services,
        mount=settings.mount,
    )


async def alone(given: Options) -> None:
    """The agent works until SIGTERM or SIGINT; what it has registered stays. Raises: PierError."""
    task = asyncio.current_task()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, task.cancel if task else running.stop)
    with contextlib.suppress(asyncio.CancelledError):
        await loop.run(given)
