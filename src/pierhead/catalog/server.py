"""The embedded catalog as one thing that is started and stopped.

async with server.serving(server.Options(port=8500, data=folder)) as address: ...
"""

from __future__ import annotations

import asyncio
import logging
import platform
import resource
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp

from pierhead.catalog import registry
from pierhead.catalog.core import Core
from pierhead.catalog.durable import Durable
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.http import Connection
from pierhead.catalog.ledger import Batch
from pierhead.catalog.probes import Probes
from pierhead.catalog.records import Node
from pierhead.catalog.state import State
from pierhead.catalog.tokens import Grant, Tokens
from pierhead.catalog.upkeep import Upkeep
from pierhead.kit import errors

log = logging.getLogger(__name__)

_ANYWHERE = ("", "0.0.0.0", "::")  # noqa: S104
_BACKLOG = 4096
_MOST_FILES = 65536


@dataclass(frozen=True, slots=True)
class Options:
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8500
    """TCP port; 0: any free one."""
    data: Path = Path("catalog")
    """The folder of its file."""
    datacenter: str = "dc1"
    node_name: str = ""
    """Empty: the name it had at its first start, which was the machine's host name."""
    advertise: str = ""
    """The address of its own node; empty: `host`, or loopback when that is every address."""
    token: str = ""
    """The root token. Empty: everybody may do everything."""
    grants: tuple[Grant, ...] = ()
    """Tokens that may do less; only with a root token."""
    tls: ssl.SSLContext | None = None
    """With it, the catalog is served over https only."""
    least_removal: timedelta = timedelta(minutes=1)
    """Lower limit of DeregisterCriticalServiceAfter."""


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self.host in _ANYWHERE else self.host
        return f"{self.scheme}://[{host}]:{self.port}" if ":" in host else f"{self.scheme}://{host}:{self.port}"


async def run(options: Options) -> None:
    """The catalog is served until this is cancelled. Raises: Broken when its file can no longer be written."""
    async with serving(options):
        await asyncio.Event().wait()


@asynccontextmanager
async def serving(options: Options) -> AsyncIterator[Address]:
    """The catalog is served at the address that is yielded, and everything acknowledged is on disk at the end.

    Raises: Broken when the file cannot be used; Unavailable when the port is taken.
    """
    _raise_file_limit()
    loop = asyncio.get_running_loop()
    durable = Durable(options.data)
    context = await loop.run_in_executor(None, _load, durable, options)
    core = Core(context, durable, Tokens(options.token, options.grants))
    connections: set[Connection] = set()
    server = await _listen(options, lambda: Connection(core, connections))
    context.port = server.sockets[0].getsockname()[1]
    durable.start(core.written)
    _begin(context, core, loop.time())
    log.info("Listening.", extra={"address": f"{options.host}:{context.port}", "index": context.state.ledger.index})
    try:
        async with _until_failure(core.failed), _probing(core):
            yield Address(options.host, context.port, "https" if options.tls else "http")
    finally:
        server.close()
        core.close()
        for connection in list(connections):
            connection.close()
        await loop.run_in_executor(None, durable.stop)


async def _listen(options: Options, connect: Callable[[], Connection]) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(connect, options.host, options.port, backlog=_BACKLOG, ssl=options.tls)
    except OSError as error:
        raise errors.Unavailable(
            f"The catalog cannot listen on {options.host}:{options.port}: {error.strerror or error}",
            hint="Stop what listens there, or change the settings catalog.host and catalog.port.",
        ) from error


def _load(durable: Durable, options: Options) -> Context:
    """Who this server is and what it knew when it stopped."""
    rows, index, facts = durable.load()
    name = options.node_name or facts.get("node", "") or platform.node() or "catalog"
    node_id = facts.get("node-id", "") or str(uuid.uuid4())
    durable.keep({"node": name, "node-id": node_id})
    state = State(options.datacenter)
    state.restore(rows, index)
    address = options.advertise or ("127.0.0.1" if options.host in _ANYWHERE else options.host)
    return Context(state, Upkeep(state, options.least_removal), name, node_id, address, options.port)


def _begin(context: Context, core: Core, now: float) -> None:
    """The own node is in the catalog and every deadline runs."""
    context.upkeep.follow(context.state.everything(), now)
    tagged = dict.fromkeys(("lan", "lan_ipv4", "wan", "wan_ipv4"), context.address)
    meta = {"consul-network-segment": ""}
    registry.found_node(context.state, Node(context.node, context.address, context.node_id, meta, tagged), context.port)
    core.settle()


@asynccontextmanager
async def _probing(core: Core) -> AsyncIterator[None]:
    """The checks that the server is to run are run."""
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        probes = Probes(group, session, core.report)
        probes.follow(Batch(rows=core.context.state.everything()))
        core.follow = probes.follow
        try:
            yield
        finally:
            core.follow = None
            probes.stop()


@asynccontextmanager
async def _until_failure(failed: asyncio.Future[None]) -> AsyncIterator[None]:
    """The block is left with Broken as soon as `failed` has an exception."""
    task = asyncio.current_task()

    def stop(_: asyncio.Future[None]) -> None:
        if task and not failed.cancelled():
            task.cancel()

    failed.add_done_callback(stop)
    try:
        yield
    except asyncio.CancelledError:
        if failed.done() and not failed.cancelled() and task:
            task.uncancel()
            raise errors.Broken(
                f"The catalog cannot write its file: {failed.exception()}", hint="Look for a full or failing disk."
            ) from None
        raise
    finally:
        failed.remove_done_callback(stop)
        failed.cancel()


def _raise_file_limit() -> None:
    """As many connections may be open as this process is allowed to have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
