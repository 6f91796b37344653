"""What this gateway knows, how fresh it is, and the last of it on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pierhead.gateway import snapshot as snapshots
from pierhead.gateway.snapshot import Snapshot
from pierhead.kit import clock, files
from pierhead.kit.tasks import Broadcast, Signal
from pierhead.model.instance import Endpoint
from pierhead.model.route import Route

log = logging.getLogger(__name__)

DOUBT = timedelta(seconds=30)
"""How long after an outage or a restart of the catalog a mass removal is not believed."""
SAVE_INTERVAL = timedelta(seconds=1)


class Known:
    """The newest snapshot. Writers replace it whole; `changed` and `rerouted` tell who follows it."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.is_known = False
        """Something was ever learned, from the catalog or from disk: before that there is nothing to serve."""
        self.has_routes = False
        """The catalog itself told the routes."""
        self._fetched: set[str] = set()
        self.is_live = False
        self.since = clock.now()
        self.held: dict[str, datetime] = {}
        """Service → until when its mass removal is held back."""
        self.changed = Signal()
        self.rerouted = Broadcast()
        self._saved = Signal()
        self._doubt_until = clock.now() + DOUBT

    @property
    def is_complete(self) -> bool:
        """The catalog itself told the routes and the endpoints of every service that they lead to."""
        return self.has_routes and self.snapshot.services <= self._fetched

    def fetched(self, services: Iterable[str]) -> None:
        """The catalog itself told the endpoints of these services."""
        self._fetched.update(services)
        self.changed.set()

    @property
    def in_doubt(self) -> bool:
        return clock.now() < self._doubt_until

    def doubt(self) -> None:
        """The catalog was away or began anew: what vanishes now may only not have been registered again yet."""
        self._doubt_until = clock.now() + DOUBT

    def hold(self, service: str, limit: timedelta) -> None:
        """It is shown that a mass removal is held back, and until when at most."""
        self.held.setdefault(service, clock.now() + limit)

    def put_routes(self, routes: Mapping[str, Route], refused: Mapping[str, str], index: int) -> None:
        """These are the routes."""
        self.has_routes = True
        self._put(replace(self.snapshot, routes=routes, refused=refused, index=max(index, self.snapshot.index)))
        self.rerouted.set()

    def put_endpoints(self, found: Mapping[str, tuple[Endpoint, ...]], index: int) -> None:
        """These services have these endpoints; the others are as before, and those without a route are forgotten."""
        routed = self.snapshot.services
        before = self.snapshot.endpoints
        endpoints = {service: value for service, value in {**before, **found}.items() if service in routed}
        self._put(replace(self.snapshot, endpoints=endpoints, index=max(index, self.snapshot.index)))

    def put_state(self, *, is_live: bool) -> None:
        """The catalog answers, or does not."""
        if is_live == self.is_live:
            return
        self.is_live, self.since = is_live, clock.now()
        if is_live:
            log.info("The catalog answers.")
        else:
            self.doubt()
            log.warning("The catalog does not answer; the last known state is served.")

    def _put(self, snapshot: Snapshot) -> None:
        self.snapshot, self.is_known = snapshot, True
        self.changed.set()
        self._saved.set()

    def read(self, path: Path) -> None:
        """What was last saved at `path` is known. Nothing changes where there is nothing that can be read."""
        try:
            kept = snapshots.read(path.read_text())
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("The last known state cannot be read; the catalog is waited for.", extra={"path": str(path)})
            return
        self._put(replace(kept, index=0))

    async def keep_saved(self, path: Path) -> None:
        """Whatever is known is on disk about a second later, until cancelled."""
        while True:
            await self._saved.wait()
            await asyncio.to_thread(files.replace, path, snapshots.text(self.snapshot))
            await asyncio.sleep(SAVE_INTERVAL.total_seconds())
