"""The receipts of the deployments that move: added to at every look, written down now and then and at every turn."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pierhead.control import deployments, receipts
from pierhead.control.context import Context
from pierhead.kit import clock
from pierhead.model import receipt
from pierhead.model.receipt import Receipt
from pierhead.release.observe import Traffic
from pierhead.store.deployments import Deployment

_WRITTEN_EVERY = timedelta(seconds=2)
"""A server that dies loses what came in between: who goes on counts it with the first answer."""


@dataclass(slots=True)
class Book:
    _open: dict[int, Receipt] = field(default_factory=dict)
    _draining: dict[int, dict[str, int]] = field(default_factory=dict)
    """Deployment → endpoint that gets no new requests → the most that it still had."""
    _written: dict[int, datetime] = field(default_factory=dict)

    async def of(self, ctx: Context, moving: Deployment) -> Receipt:
        if moving.id not in self._open:
            self._open[moving.id] = await receipts.kept(ctx, moving.id)
            self._draining[moving.id] = {}
        return self._open[moving.id]

    async def add(self, ctx: Context, moving: Deployment, seen: Traffic) -> None:
        """The receipt has what the gateways have counted by now."""
        found = await self.of(ctx, moving)
        for source, counts in seen.counts.items():
            found = receipt.add(found, source, counts)
        peaks = self._draining[moving.id]
        before = sum(peaks.values())
        for endpoint, requests in seen.draining.items():
            peaks[endpoint] = max(peaks.get(endpoint, 0), requests)
        drained = found.drained + sum(peaks.values()) - before
        seconds = (clock.now() - moving.created_at).total_seconds()
        self._open[moving.id] = replace(found, drained=drained, seconds=round(seconds, 3))
        if clock.now() - self._written.get(moving.id, moving.created_at) > _WRITTEN_EVERY:
            await self.keep(ctx, moving)

    async def keep(self, ctx: Context, moving: Deployment) -> None:
        """What is known by now is on disk; another server that moves it keeps its own."""
        with contextlib.suppress(deployments.Lost):
            await receipts.keep(ctx, moving.id, await self.of(ctx, moving))
        self._written[moving.id] = clock.now()
