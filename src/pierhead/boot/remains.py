"""The apps of one cluster on an engine, removed: with their drain while an agent is there, else by their own signal."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pierhead.kit import errors
from pierhead.model.instance import Label
from pierhead.wire.docker import services, tasks
from pierhead.wire.docker.client import Engine

_LOOK = timedelta(milliseconds=300)
_GRACE = timedelta(seconds=15)
"""What an engine may take beyond the time that each container asked for."""
_DEFAULT_STOP = {"signal": "SIGTERM", "drain_seconds": 30, "stop_seconds": 10}


async def removed(address: str, cluster: str, *, with_agent: bool, say: Callable[[str], None]) -> None:
    """No engine service of the cluster is left on the engine and no container of it runs; volumes stay.

    Raises: Unavailable (the engine does not answer, or does not end them).
    """
    labels = {Label.CLUSTER: cluster}
    async with Engine(address) as engine:
        for service in await services.listing(engine, labels):
            say(f"ends {service.name}")
            with contextlib.suppress(errors.NotFound):
                await services.scale(engine, service, 0)
        found = await _containers(engine, labels)
        if not with_agent:
            await _signalled(engine, found)
        await _gone(engine, labels, patience(found), say)
        await _forgotten(engine, labels)


def patience(containers: Sequence[Mapping[str, Any]]) -> timedelta:
    """How long the slowest of them may drain and stop."""
    limits = [stop["drain_seconds"] + stop["stop_seconds"] for stop in map(stopping, containers)]
    return timedelta(seconds=max(limits, default=0)) + _GRACE


def stopping(container: Mapping[str, Any]) -> dict[str, Any]:
    """How it wants to be stopped: what its label says, the usual where that cannot be read."""
    try:
        return {**_DEFAULT_STOP, **json.loads(container["Labels"][Label.STOP])}
    except (KeyError, ValueError, TypeError):
        return dict(_DEFAULT_STOP)


async def _containers(engine: Engine, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Those that run. The engine keeps ended ones of a service for a while, for whoever wants to know why."""
    return list(await engine.get("/containers/json", {"filters": services.label_filter(labels)}))


async def _signalled(engine: Engine, containers: Sequence[Mapping[str, Any]]) -> None:
    """Each has been sent its own stop signal: the engine's does nothing, and nobody is there to translate it."""
    for container in containers:
        with contextlib.suppress(errors.NotFound, errors.Conflict):
            await engine.post(f"/containers/{container['Id']}/kill", query={"signal": stopping(container)["signal"]})


async def _gone(engine: Engine, labels: Mapping[str, str], limit: timedelta, say: Callable[[str], None]) -> None:
    """The containers have ended; those that did not within `limit` were removed by force."""
    deadline, left = asyncio.get_running_loop().time() + limit.total_seconds(), -1
    while found := await _containers(engine, labels):
        if len(found) != left:
            say(f"waits for {len(found)} instance{'s' if len(found) > 1 else ''} to finish")
            left = len(found)
        if asyncio.get_running_loop().time() > deadline:
            for container in found:
                with contextlib.suppress(errors.NotFound, errors.Conflict):
                    await engine.delete(f"/containers/{container['Id']}", {"force": True})
            return
        await asyncio.sleep(_LOOK.total_seconds())


async def _forgotten(engine: Engine, labels: Mapping[str, str]) -> None:
    """The services are gone. Each is removed once the engine has forgotten its tasks (see `services.remove`)."""
    deadline = asyncio.get_running_loop().time() + _GRACE.total_seconds()
    while left := await services.listing(engine, labels):
        busy = {task.service for task in await tasks.listing(engine, labels) if task.is_being_forgotten}
        is_late = asyncio.get_running_loop().time() > deadline
        for service in left:
            if is_late or service.id not in busy:
                with contextlib.suppress(errors.NotFound):
                    await services.remove(engine, service.id)
        await asyncio.sleep(_LOOK.total_seconds())
