"""What this gateway knows, how fresh it is, and the last of it on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pierhead.gateway import implied, kept
from pierhead.gateway.kept import Kept
from pierhead.gateway.material import Material
from pierhead.gateway.snapshot import Snapshot
from pierhead.kit import clock
from pierhead.kit.tasks import Broadcast, Signal
from pierhead.model.instance import Endpoint
from pierhead.model.route import Route

log = logging.getLogger(__name__)

DOUBT = timedelta(seconds=30)
"""How long after an outage or a restart of the catalog a mass removal is not believed."""
SAVE_INTERVAL = timedelta(seconds=1)
STALLED = timedelta(seconds=10)
"""Once the catalog has told nothing new for so long, what it has told so far has to do."""
GRACE = timedelta(minutes=10)
"""How long a service whose instances are all gone keeps the routes of its metadata: it is answered 503, not 404."""


class Known:
    """The newest snapshot. Writers replace it whole; `changed` and `rerouted` tell who follows it."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.services: frozenset[str] = frozenset()
        """Those that some route leads to."""
        self.ended: dict[str, datetime] = {}
        """Service with routes by metadata and without instances → since when."""
        self.is_known = False
        """Something was ever learned, from the catalog or from disk: before that there is nothing to serve."""
        self.has_routes = False
        """The catalog itself told the routes."""
        self._fetched: set[str] = set()
        """Services, in lower case, whose endpoints the catalog itself told."""
        self._listed: frozenset[str] | None = None
        """The same for all services that it listed. None: it did not list any yet."""
        self._told_at = clock.now()
        """When it told something last that was asked for."""
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
        """The catalog itself told the routes and the endpoints of every service: any may ask for routes of its own."""
        return self.has_routes and self._listed is not None and not self._missing

    @property
    def is_filling(self) -> bool:
        """The catalog is still telling services for the first time: more will follow at once."""
        return self.has_routes and not self.is_complete and clock.now() - self._told_at < STALLED

    @property
    def _missing(self) -> bool:
        fetched = self._fetched
        listed = self._listed or frozenset()
        return not listed <= fetched or any(service.lower() not in fetched for service in self.services)

    def answered(self) -> None:
        """The catalog told of some service, which is known soon."""
        self._told_at = clock.now()

    def fetched(self, services: Iterable[str]) -> None:
        """The catalog itself told the endpoints of these services."""
        new = {service.lower() for service in services} - self._fetched
        if new:
            self._fetched |= new
            self._told()

    def listed(self, services: Iterable[str]) -> None:
        """The catalog has these services."""
        is_first = self._listed is None
        self._listed = frozenset(service.lower() for service in services)
        if is_first:
            self._told()

    def _told(self) -> None:
        self._told_at = clock.now()
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

    def is_over(self, service: str) -> bool:
        """The mass removal of the service has been held back for as long as it is."""
        return clock.now() >= self.held[service]

    def put_routes(self, routes: Mapping[str, Route], refused: Mapping[str, str], index: int) -> None:
        """These are the routes by document."""
        if not self.has_routes:
            self.has_routes = True
            self._told()
        before = self.snapshot
        if routes == before.routes and refused == before.refused:
            routes, refused = before.routes, before.refused
        now = replace(before, routes=routes, refused=refused, index=max(index, before.index))
        self._put_routed(now)

    def put_endpoints(self, found: Mapping[str, tuple[Endpoint, ...]], index: int) -> None:
        """These services have these endpoints, and the routes that these ask for; the others are as before."""
        now = replace(self.snapshot, index=max(index, self.snapshot.index))
        asked = {service: implied.routes(service, endpoints) for service, endpoints in found.items()}
        changed = {service: routes for service, routes in asked.items() if self._is_other(service, routes, found)}
        if changed:
            merged = {**now.implied, **changed}
            now = replace(now, implied={service: routes for service, routes in merged.items() if routes})
            self.services = now.services
        fresh = {service: value for service, value in found.items() if service in self.services}
        now = replace(now, endpoints={**now.endpoints, **fresh}) if fresh else now
        if changed:
            self._put_routed(now)
        elif fresh:
            self._put(now)

    def end_grace(self) -> None:
        """Services that have had no instance for a while have no routes by metadata any more."""
        over = {service for service, since in self.ended.items() if clock.now() - since > GRACE}
        if over:
            left = {service: routes for service, routes in self.snapshot.implied.items() if service not in over}
            self.ended = {service: since for service, since in self.ended.items() if service not in over}
            self._put_routed(replace(self.snapshot, implied=left))

    def _is_other(self, service: str, routes: tuple[Route, ...], found: Mapping[str, tuple[Endpoint, ...]]) -> bool:
        """The metadata asks for other routes than so far. Nobody being there asks for nothing new."""
        before = self.snapshot.implied.get(service, ())
        if before and not found[service]:
            self.ended.setdefault(service, clock.now())
            return False
        self.ended.pop(service, None)
        return routes != before

    def _put_routed(self, snapshot: Snapshot) -> None:
        """Services that no route leads to any more are forgotten."""
        self.services = snapshot.services
        endpoints = {service: value for service, value in snapshot.endpoints.items() if service in self.services}
        self._put(replace(snapshot, endpoints=endpoints))
        self.rerouted.set()

    def put_material(self, material: Material) -> None:
        """These are the certificates and pages. Alone they are nothing to serve."""
        if material != self.snapshot.material:
            self.snapshot = replace(self.snapshot, material=material)
            self.changed.set()

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
            found = kept.read(path)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("The last known state cannot be read; the catalog is waited for.", extra={"path": str(path)})
            return
        self.ended = {service: clock.now() for service in found.implied if not found.endpoints.get(service)}
        self._put_routed(replace(found, material=self.snapshot.material))

    async def keep_saved(self, path: Path) -> None:
        """Whatever is known is on disk about a second later, until cancelled."""
        file = Kept(path)
        while True:
            await self._saved.wait()
            await asyncio.to_thread(file.save, self.snapshot)
            await asyncio.sleep(SAVE_INTERVAL.total_seconds())
