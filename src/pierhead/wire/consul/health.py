"""Services with their checks. Source: Consul HTTP API, Health."""

from __future__ import annotations

from datetime import timedelta

from pierhead.wire.consul import records
from pierhead.wire.consul.client import Consul, segment


async def service(
    client: Consul, name: str, *, passing: bool = False, tag: str = "", index: int = 0, wait: timedelta | None = None
) -> tuple[tuple[records.Entry, ...], int]:
    """The instances of a service with their checks and their node's; `passing`: only those without any other status.

    Empty when there is none: absence and emptiness are one to Consul.
    """
    params = {**({"passing": "1"} if passing else {}), **({"tag": tag} if tag else {})}
    answer = await client.get(f"/v1/health/service/{segment(name)}", params, index=index, wait=wait)
    return tuple(records.read_entry(value) for value in answer.json()), answer.index


async def state(
    client: Consul, status: str = "any", *, index: int = 0, wait: timedelta | None = None
) -> tuple[tuple[records.Check, ...], int]:
    """Every check with that status (`any`, `passing`, `warning`, `critical`), of nodes and of services.

    One such blocking query tells of every change to any service that has a check: the cheap way to watch them all.
    """
    answer = await client.get(f"/v1/health/state/{segment(status)}", index=index, wait=wait)
    return tuple(records.read_check(value) for value in answer.json()), answer.index


async def checks(
    client: Consul, name: str, *, index: int = 0, wait: timedelta | None = None
) -> tuple[tuple[records.Check, ...], int]:
    """The checks of every instance of a service, without those of their nodes."""
    answer = await client.get(f"/v1/health/checks/{segment(name)}", index=index, wait=wait)
    return tuple(records.read_check(value) for value in answer.json()), answer.index


async def node(
    client: Consul, name: str, *, index: int = 0, wait: timedelta | None = None
) -> tuple[tuple[records.Check, ...], int]:
    """The checks of a node and of the services on it."""
    answer = await client.get(f"/v1/health/node/{segment(name)}", index=index, wait=wait)
    return tuple(records.read_check(value) for value in answer.json()), answer.index
