"""The agent of a node: by itself, or as a part of a one-machine Pierhead."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from pierhead.agent import channel, loop
from pierhead.agent.endpoint import Node
from pierhead.agent.options import Options
from pierhead.boot import access, home, other_nodes
from pierhead.boot.supervise import Report
from pierhead.kit import address
from pierhead.settings import Settings

NAME = "agent"
_SOON = timedelta(seconds=1)
_STARTS = timedelta(seconds=20)
"""A server that does not answer for so long after the start is worth a warning."""


async def run(settings: Settings, report: Report) -> None:
    """The catalog holds the endpoints of this machine's containers, and the server reaches them, until cancelled.

    Raises: Conflict, Invalid.
    """
    report.starting("reads engine and catalog")
    given, voice = options(settings), _Voice(report, settings.engine.socket)
    dialled = channel.Options(
        servers=(settings.agent.server or settings.api_url,),
        token_file=token_file(settings.home),
        engine=given.engine,
        data=given.data,
        retry=_SOON,
    )
    beside = _dialling(dialled, lambda problem: voice.hear(problem, "server"))

    async def both(node: Node) -> None:
        async with access.client(settings) as consul, asyncio.TaskGroup() as group:
            group.create_task(beside(node), name="channel")
            others = other_nodes.follow(consul, node.name, lambda problem: voice.hear(problem, "other nodes"))
            group.create_task(others, name="other nodes")

    await loop.run(given, voice.hear, both)


class _Voice:
    """What the agent's two halves say, as one."""

    def __init__(self, report: Report, detail: str) -> None:
        self._report, self._detail = report, detail
        self._problems = {"": "reads engine and catalog", "server": "not connected yet"}
        self._begin = asyncio.get_running_loop().time()
        self._was_connected = False

    def hear(self, problem: str, part: str = "") -> None:
        self._problems[part] = problem
        self._was_connected |= part == "server" and not problem
        if not (
            found := "; ".join(f"{name}: {text}".removeprefix(": ") for name, text in self._problems.items() if text)
        ):
            self._report.ready(self._detail)
        elif self._was_connected or self._problems[""] or self._is_late:
            self._report.degraded(found, "It goes on by itself when that answers again, or is mended.")
        else:
            self._report.starting(found)

    @property
    def _is_late(self) -> bool:
        return asyncio.get_running_loop().time() - self._begin > _STARTS.total_seconds()


def options(settings: Settings) -> Options:
    """How the agent of this machine is started for these settings. Raises: Conflict (no address can be chosen)."""
    return Options(
        engine=settings.engine.socket,
        catalog_url=settings.catalog_url,
        catalog_token=settings.catalog.token,
        catalog_tls=access.tls(settings),
        advertise=settings.agent.advertise or settings.engine.advertise or address.own(),
        advertise_ipv6=settings.agent.advertise_ipv6,
        node_name=settings.agent.node_name,
        cluster=settings.cluster,
        data=home.agent_folder(settings.home),
        services=settings.agent.services,
        mount=settings.mount,
    )


def token_file(folder: Path) -> Path:
    """Where the token is that the agent of this machine shows to the server."""
    return home.agent_folder(folder) / "token"


async def alone(given: Options, dialled: channel.Options | None = None) -> None:
    """The agent works until SIGTERM or SIGINT; what it has registered stays. Raises: PierError."""
    task = asyncio.current_task()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, task.cancel if task else running.stop)
    with contextlib.suppress(asyncio.CancelledError):
        await loop.run(given, beside=_dialling(dialled) if dialled else None)


def _dialling(dialled: channel.Options, tell: Callable[[str], None] = lambda problem: None) -> loop.Beside:
    async def dial(node: Node) -> None:
        await channel.run(dialled, node, tell)

    return dial
