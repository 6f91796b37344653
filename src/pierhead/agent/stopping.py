"""Containers that are to stop: from the first signal that is heard to the real one.

Pierhead's own are drained first, whoever stops them; they live on until then, because the engine's stop signal for them
does nothing. All others are on their way out as soon as their stop signal was sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pierhead.agent import drain, kills, own, processes, signals
from pierhead.agent.drains import Drain, Drains
from pierhead.agent.endpoint import Endpoint
from pierhead.kit import clock, errors
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import containers, images
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.containers import Container
from pierhead.wire.docker.events import Event

log = logging.getLogger(__name__)

Begin = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Starts work for a container beside everything else."""


@dataclass(frozen=True, slots=True)
class Places:
    engine: Engine
    consul: Consul
    data: Path


class Stopping:
    def __init__(self, places: Places, begin: Begin) -> None:
        self._engine, self._consul = places.engine, places.consul
        self._begin = begin
        self._drains = Drains(places.data)
        self._heard: dict[str, dict[int, datetime]] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._image_signals: dict[str, str] = {}
        """Image's id → its stop signal: an engine that shuts down cannot be asked again."""

    def ids(self) -> frozenset[str]:
        """The containers that drain, those of the last agent included."""
        return self._drains.ids()

    def hear(self, kill: Event) -> None:
        """The container was sent a signal."""
        self._heard.setdefault(kill.id, {})[kill.signal] = kill.at

    def asked(self, stops: Mapping[str, datetime]) -> None:
        """These of Pierhead's own were asked to stop, as the swarm has it: nobody else may remember the signal."""
        for container_id, at in stops.items():
            self._heard.setdefault(container_id, {}).setdefault(signals.CONTINUE, at)

    def was_asked(self, container_id: str) -> bool:
        """Somebody sent the container a signal since it was started: its end is no accident."""
        return container_id in self._heard or container_id in self._drains.ids()

    def leaves_for(self, container: Container) -> timedelta | None:
        """How long one that Pierhead did not start is taken to be leaving; None when it stays."""
        until = kills.leaves_until(container, self._heard.get(container.id, {}))
        left = until - clock.now() if until else timedelta()
        return left if left > timedelta() else None

    async def drain_of(self, container: Container) -> Drain | None:
        """The drain of one of Pierhead's own, from now on on disk too; None when it stays. Raises: Unavailable."""
        if known := self._drains.get(container.id, container.started_at):
            return known
        heard = self._heard.get(container.id)
        begun = kills.drain(container, heard, real=await self._real_signal(container)) if heard else None
        if begun:
            self._drains.begin(container.id, begun)
        return begun

    def proceed(self, container: Container, endpoints: Sequence[Endpoint], draining: Drain) -> None:
        """The real signal is sent when nobody needs the container any more; once."""
        if draining.is_signalled or container.id in self._waiting:
            return
        task = self._begin(container.id, self._finish(container, endpoints, draining))
        self._waiting[container.id] = task
        task.add_done_callback(lambda done: self._waited(container.id, done))

    def ended(self, container_id: str) -> None:
        """It does not run. Idempotent."""
        self._drains.end(container_id)
        self._heard.pop(container_id, None)
        if task := self._waiting.pop(container_id, None):
            task.cancel()

    async def _finish(self, container: Container, endpoints: Sequence[Endpoint], draining: Drain) -> None:
        """The app has been sent its real signal. Raises: Unavailable (then it is tried again)."""
        outcome = await drain.until_idle(self._consul, endpoints, draining.since + own.stop(container).drain)
        signal = await self._real_signal(container)
        log.log(
            logging.INFO if outcome.is_idle else logging.WARNING,
            "Sends %s to %s after %.2f s: %s.",
            *(signal, container.name, (clock.now() - draining.since).total_seconds(), outcome.reason),
        )
        try:
            await containers.kill(self._engine, container.id, signal)
        except (errors.NotFound, errors.Conflict):
            log.debug("It had ended already.", extra={"container": container.id})
        except errors.Unavailable:  # an engine that shuts down takes no new connections, and waits for its containers
            if not processes.signal_first(container.id, container.pid, signals.number(signal)):
                raise
        self._drains.signalled(container.id)

    async def _real_signal(self, container: Container) -> str:
        """The label's, or else the one of its image. Raises: Unavailable."""
        label = own.stop(container).signal
        if label:
            return signals.real(label, "")
        if container.image_id not in self._image_signals:
            try:
                self._image_signals[container.image_id] = (
                    await images.inspect(self._engine, container.image_id)
                ).stop_signal
            except errors.NotFound:
                return signals.real("", "")
        return signals.real("", self._image_signals[container.image_id])

    def _waited(self, container_id: str, done: asyncio.Task[None]) -> None:
        if self._waiting.get(container_id) is done:
            del self._waiting[container_id]
