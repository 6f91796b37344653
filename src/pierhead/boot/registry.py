"""The registry that images are pushed to: `docker-registry` of the distribution as a child, or one that is there."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import yaml

from pierhead.boot import child
from pierhead.boot.child import Child
from pierhead.boot.supervise import Report
from pierhead.control import registry
from pierhead.kit import errors, files, process, tasks
from pierhead.settings import Settings
from pierhead.wire.oci import distribution
from pierhead.wire.oci.access import Access
from pierhead.wire.oci.client import Registry

log = logging.getLogger(__name__)

NAME = "registry"
_ANSWER = timedelta(seconds=3)
_LOOK = timedelta(seconds=5)
_UPLOADS = timedelta(seconds=30)
"""How long uploads and downloads may take to end when the registry stops."""
_CHANGE = timedelta(minutes=2)
_TRUSTED = Path("/etc/docker/certs.d")


class Window:
    """A while in which the embedded registry takes no uploads, asked for by whoever removes what no image names."""

    def __init__(self) -> None:
        self._wanted = self._is_open = False
        self._changed = tasks.Broadcast()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """No upload runs or begins; what is there can be pulled. Raises: Unavailable (the registry does not start)."""
        try:
            await self._want(True)
            yield
        finally:
            await self._want(False)

    @property
    def wanted(self) -> bool:
        return self._wanted

    def is_now(self, is_open: bool) -> None:
        """The registry that answers takes no uploads; or it does."""
        self._is_open = is_open
        self._changed.set()

    async def until_other(self, is_open: bool) -> None:
        """Somebody wants it the other way."""
        while self._wanted is is_open:
            await self._changed.wait(_LOOK)

    async def _want(self, is_open: bool) -> None:
        self._wanted = is_open
        self._changed.set()
        try:
            async with asyncio.timeout(_CHANGE.total_seconds()):
                while self._is_open is not is_open:
                    await self._changed.wait(_LOOK)
        except TimeoutError:
            raise errors.Unavailable("The registry did not start anew in time.") from None


async def run(settings: Settings, report: Report, window: Window) -> None:
    """The registry answers, until cancelled; the embedded one has stopped then. Raises: Unavailable, NotFound."""
    if settings.registry.address:
        await _elsewhere(settings, report)
        return
    registry.prepare(settings)
    await distribution.stop_collecting(settings.registry_config)
    while True:
        await _served(settings, report, window, read_only=window.wanted)


async def _served(settings: Settings, report: Report, window: Window, *, read_only: bool) -> None:
    """The embedded registry answers until it is wanted in the other way. Raises: Unavailable, NotFound."""
    program = await _prepared(settings, read_only=read_only)
    report.starting(f"starts at {program.detail}")
    running = await child.raised(program)
    report.ready(program.detail)
    window.is_now(read_only)
    try:
        await tasks.unless(window.until_other(read_only), child.watched(program, running, report))
    finally:
        await process.stop(running, patience=_UPLOADS + _ANSWER)


def config(settings: Settings, *, read_only: bool = False) -> str:
    """The configuration file of the embedded registry. Source: distribution, configuration reference 2.8."""
    told = settings.registry
    tls = {"tls": {"certificate": told.cert_file, "key": told.key_file}} if told.cert_file else {}
    return yaml.safe_dump(
        {
            "version": 0.1,
            "log": {"level": "warn"},
            "auth": {"htpasswd": {"realm": "pierhead", "path": str(settings.registry_htpasswd)}},
            "storage": {
                "filesystem": {"rootdirectory": str(settings.registry_storage)},
                "delete": {"enabled": True},
                "maintenance": {"readonly": {"enabled": read_only}},
            },
            "http": {"addr": settings.registry_address, "draintimeout": f"{_UPLOADS.total_seconds():.0f}s", **tls},
        }
    )


async def _prepared(settings: Settings, *, read_only: bool) -> Child:
    """The program, its configuration written. A running one that was given another configuration has stopped."""
    file = settings.registry_config
    text = config(settings, read_only=read_only)
    program = Child(
        name=NAME,
        argv=("docker-registry", "serve", str(file)),
        home=settings.home,
        check=lambda: _answers(settings),
        detail=settings.registry_address,
    )
    before = file.read_text() if file.exists() else ""
    if before != text and (running := child.present(program)):
        await process.stop(running)
    files.replace(file, text)
    _trust(registry.access(settings))
    return program


async def _elsewhere(settings: Settings, report: Report) -> None:
    while True:
        try:
            access = registry.access(settings)
            _trust(access)
            await _ping(access)
        except (errors.Unavailable, errors.Refused) as error:
            hint = error.hint or "See the setting registry.address (PIER_REGISTRY_ADDRESS)."
            report.degraded(error.message, hint)
        else:
            report.ready(settings.registry_address)
        await asyncio.sleep(_LOOK.total_seconds())


async def _answers(settings: Settings) -> None:
    """The embedded registry answers and lets us in. Raises: Unavailable."""
    try:
        await _ping(registry.access(settings))
    except errors.Refused as error:
        raise errors.Unavailable(error.message, hint=error.hint) from error


async def _ping(access: Access) -> None:
    """Something speaks the distribution API there, and lets us in. Raises: Unavailable, Denied."""
    async with Registry(access, timeout=_ANSWER) as connected:
        await connected.ping()


def _trust(access: Access) -> None:
    """This machine's engine trusts the registry's own authority, where we may say so.

    Source: Docker, "Verify repository client with certificates": read at every pull.
    """
    if not access.ca_file or os.geteuid():
        return
    text = Path(access.ca_file).read_text()
    file = _TRUSTED / access.host / "pierhead.crt"
    if not file.exists() or file.read_text() != text:
        files.replace(file, text, mode=0o644)
        log.info("Told this machine's engine the registry's authority.", extra={"file": str(file)})
