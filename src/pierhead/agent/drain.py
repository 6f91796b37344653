"""Waiting until nobody sends requests to an endpoint any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pierhead.agent.endpoint import Endpoint
from pierhead.kit import clock, errors
from pierhead.kit.backoff import Backoff
from pierhead.model.instance import GATEWAY_SERVICE
from pierhead.wire.consul import health
from pierhead.wire.consul.client import Consul
from pierhead.wire.gateway import client as gateway

log = logging.getLogger(__name__)

_FIRST_LOOK, _SLOWEST_LOOK = timedelta(milliseconds=30), timedelta(milliseconds=250)
_STARTING = "starting"


@dataclass(frozen=True, slots=True)
class Outcome:
    is_idle: bool
    """Every live gateway has nothing left there. False: the time was up."""
    reason: str


async def until_idle(consul: Consul, endpoints: Sequence[Endpoint], deadline: datetime) -> Outcome:
    """Every live gateway has stopped sending to the endpoints and has no request left there, or `deadline` has come.

    Gateways that cannot be known (the catalog does not answer) or do not answer are waited for.
    """
    looks = Backoff(_FIRST_LOOK, _SLOWEST_LOOK)
    while True:
        try:
            left = await _left(consul, endpoints)
        except errors.PierError as error:
            left = error.message
        if not left:
            return Outcome(is_idle=True, reason="no gateway has a request left there")
        if clock.now() >= deadline:
            return Outcome(is_idle=False, reason=left)
        await asyncio.sleep(looks.failed())


async def _left(consul: Consul, endpoints: Sequence[Endpoint]) -> str:
    """The first thing that is still in the way; empty when there is none. Raises: Unavailable."""
    live, _ = await health.service(consul, GATEWAY_SERVICE, passing=True)
    ids = {endpoint.id for endpoint in endpoints}
    for entry in live:
        host = f"[{entry.address}]" if ":" in entry.address else entry.address
        url = f"http://{host}:{entry.service.port}"
        for name in sorted({endpoint.service for endpoint in endpoints}):
            if left := await _left_at(url, name, ids):
                return f"{entry.service.id}: {left}"
    return ""


async def _left_at(url: str, name: str, ids: set[str]) -> str:
    found = await gateway.service(url, name)
    if found is None:
        state = (await gateway.status(url)).get("state")
        return "it has not read the catalog yet" if state == _STARTING else ""
    return next((text for server in found.servers if server.id in ids and (text := busy(server))), "")


def busy(server: gateway.Server) -> str:
    """Why requests may still be on their way to the server; empty when none is."""
    if server.state == gateway.READY:
        return f"{server.id} still gets requests"
    return f"{server.id} has {server.requests} open" if server.requests else ""
