"""The catalog: the embedded server in this process, or a Consul that is there."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from pierhead.boot import access
from pierhead.boot.supervise import Report
from pierhead.catalog import grants, server
from pierhead.catalog.server import Address, Options
from pierhead.catalog.tokens import Grant
from pierhead.kit import errors
from pierhead.settings import Settings
from pierhead.wire.consul import status

log = logging.getLogger(__name__)

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
    """How the embedded server is started for these settings. Raises: Invalid, NotFound (a file that they name)."""
    return Options(
        host=settings.catalog.host,
        port=settings.catalog.port,
        data=settings.home / "catalog",
        datacenter=settings.catalog.datacenter,
        node_name=settings.agent.node_name,
        token=settings.catalog.token,
        grants=_grants(settings.catalog.grants_file),
        tls=_served(settings),
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


def _grants(file: str) -> tuple[Grant, ...]:
    if not file:
        return ()
    path = Path(file)
    try:
        text = path.read_text()
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"catalog.grants_file: {path} cannot be read: {error}") from error
    if mode & stat.S_IROTH:
        log.warning("Everybody on this machine may read the file of tokens.", extra={"file": str(path)})
    return grants.read(text, file)


def _served(settings: Settings) -> ssl.SSLContext | None:
    told = settings.catalog
    if not told.server_cert_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(told.server_cert_file, told.server_key_file)
        if told.server_client_ca_file:
            context.load_verify_locations(told.server_client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise errors.Invalid(
            f"The catalog cannot be served over https: {error.strerror or error}",
            hint="Look at the settings catalog.server_cert_file, server_key_file and server_client_ca_file: PEM files "
            "that this process may read, the key without a passphrase.",
        ) from error
    return context


async def _elsewhere(settings: Settings, report: Report) -> None:
    """What a Consul that others run says of itself, looked at again and again."""
    async with access.client(settings) as consul:
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
