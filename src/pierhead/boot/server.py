"""The server: API, builds and releases on one database."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn

from pierhead.api import app
from pierhead.boot import access, database, home
from pierhead.boot.own_agent import accept
from pierhead.build import loop as build_loop
from pierhead.control import rotation
from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.control.tokens import ADMIN
from pierhead.kit import errors, files, tasks
from pierhead.release import loop as release_loop
from pierhead.release import simulate
from pierhead.settings import Settings
from pierhead.store import session, tokens
from pierhead.wire.docker.client import Engine
from pierhead.wire.gateway.client import Gateways

log = logging.getLogger(__name__)

_GOODBYE = timedelta(seconds=3)
"""How long open requests may take to end when the server stops; streams are cut, and go on where they were."""


async def run(
    settings: Settings,
    status: Callable[[], Any],
    ready: Callable[[], None],
    registry_window: Callable[[], AbstractAsyncContextManager[None]],
) -> None:
    """The API answers, queued builds are built and environments are moved, until cancelled.

    Calls `ready` once the API answers. Raises: Conflict (its port is taken, or the database is another server's).
    """
    listener = _listen(settings)
    _look_at_host_ports(settings)
    async with (
        session.opened(database.place(settings)) as store,
        Engine(settings.engine.socket) as engine,
        access.client(settings) as consul,
        Gateways() as gateways,
    ):
        context = Context(
            store,
            settings,
            owner=_kept(settings.home / "server-id", lambda: secrets.token_hex(8)),
            keys=Keyring.kept(settings.home / "secret.key"),
            engine=engine,
            catalog=consul,
            gateways=gateways,
            registry_window=registry_window,
            certificate_keys=Keyring.kept(home.certificate_key(settings)),
        )
        await rotation.check(context)
        async with store.write() as db:
            await tokens.ensure(db, ADMIN, _kept(settings.home / "token", lambda: secrets.token_urlsafe(32)))
        await accept(context)
        async with asyncio.TaskGroup() as group:
            group.create_task(_serve(app.create(context, status, simulate.steps), listener, ready), name="api")
            group.create_task(build_loop.run(context), name="build")
            group.create_task(release_loop.run(context), name="release")
            group.create_task(rotation.run(context), name="rotation")


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the process has one set, in boot."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


async def _serve(application: Any, listener: socket.socket, ready: Callable[[], None]) -> None:
    config = uvicorn.Config(
        application,
        log_config=None,
        log_level="warning",  # what it says of a WebSocket holds the command, and that may hold a secret
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=round(_GOODBYE.total_seconds()),
        ws_ping_interval=15,
    )
    server = _Server(config, ready)

    def stop() -> None:
        server.should_exit = True

    await tasks.ending(server.serve([listener]), stop, 2 * _GOODBYE)


def _listen(settings: Settings) -> socket.socket:
    api = settings.api
    try:
        return socket.create_server((api.host, api.port), backlog=1024)
    except OSError as error:
        raise errors.Conflict(
            f"The API cannot listen on {api.host}:{api.port}: {error.strerror}.",
            hint="`ss -ltnp` shows who has the port; the setting api.port (PIER_API_PORT) chooses another.",
        ) from error


def _look_at_host_ports(settings: Settings) -> None:
    """A warning says when the kernel of this machine may give the ports of instances to others."""
    told, given = settings.host_ports, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    if told.first <= int(given[1]) and int(given[0]) <= told.last:
        log.warning(
            "host_ports.first to host_ports.last (%d to %d) overlap the kernel's ephemeral ports (%s to %s).",
            *(told.first, told.last, *given),
        )


def _kept(file: Path, make: Callable[[], str]) -> str:
    """The text in `file`, made at the first start; only its owner can read it. Whole or not there at all."""
    if not file.exists():
        files.replace(file, make() + "\n")
    return file.read_text().strip()
