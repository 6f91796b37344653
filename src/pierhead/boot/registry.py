"""The registry that images are pushed to: `docker-registry` of the distribution as a child, or one that is there."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import aiohttp
import yaml

from pierhead.boot import child
from pierhead.boot.child import Child
from pierhead.boot.supervise import Report
from pierhead.kit import errors, files, process
from pierhead.settings import Settings

NAME = "registry"
_ANSWER = aiohttp.ClientTimeout(total=3)
_LOOK = timedelta(seconds=5)


async def run(settings: Settings, report: Report) -> None:
    """The registry answers, until cancelled; the embedded one has stopped then. Raises: Unavailable, NotFound."""
    if settings.registry.address:
        await _elsewhere(settings, report)
        return
    program = await _prepared(settings)
    report.starting(f"starts at {program.detail}")
    running = await child.raised(program)
    report.ready(program.detail)
    try:
        await child.watched(program, running, report)
    finally:
        await process.stop(running)


def config(settings: Settings) -> str:
    """The configuration file of the embedded registry. Source: distribution, configuration reference 2.8."""
    return yaml.safe_dump(
        {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": str(settings.home / "registry")},
                "delete": {"enabled": True},
            },
            "http": {"addr": settings.registry_address},
        }
    )


async def _prepared(settings: Settings) -> Child:
    """The program, its configuration written. A running one that was given another configuration has stopped."""
    file = settings.registry_config
    text = config(settings)
    program = Child(
        name=NAME,
        argv=("docker-registry", "serve", str(file)),
        home=settings.home,
        check=lambda: _ping(settings),
        detail=settings.registry_address,
    )
    before = file.read_text() if file.exists() else ""
    if before != text and (running := child.present(program)):
        await process.stop(running)
    files.replace(file, text)
    return program


async def _elsewhere(settings: Settings, report: Report) -> None:
    while True:
        try:
            await _ping(settings)
        except errors.Unavailable as error:
            report.degraded(error.message, "See the setting registry.address (PIER_REGISTRY_ADDRESS).")
        else:
            report.ready(settings.registry_address)
        await asyncio.sleep(_LOOK.total_seconds())


async def _ping(settings: Settings) -> None:
    """Something speaks the distribution API there, even if it wants to know who asks. Raises: Unavailable."""
    url = f"http://{settings.registry_address}/v2/"
    try:
        async with aiohttp.ClientSession(timeout=_ANSWER) as asking, asking.get(url) as answer:
            status = answer.status
    except (TimeoutError, aiohttp.ClientError) as error:
        raise errors.Unavailable(f"no registry answers at {url}") from error
    if status not in (200, 401):
        raise errors.Unavailable(f"{url} answers {status}, which no registry does")
