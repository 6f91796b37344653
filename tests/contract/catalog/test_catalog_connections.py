"""A gateway and a resolver hold the same few connections, whatever the number of services they follow.

A real Consul resets what is above 200 for each client address, and watchers that went away count for a while.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest

from pierhead.gateway import follow
from pierhead.gateway.known import Known
from pierhead.model.instance import Meta
from pierhead.resolver import loop as resolver
from pierhead.wire.consul import agent
from pierhead.wire.consul.client import CONNECTIONS, Consul

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

FEW, MANY = 3, 120
CHECK = agent.Check(ttl=timedelta(hours=1), status="passing")


async def test_the_connections_are_few_and_do_not_grow_with_the_services(url: str, consul: Consul, name: str) -> None:
    known = Known()
    begun = _connections(url)
    async with (
        Consul(url, connections=follow.CONNECTIONS) as client,
        resolver.serving(resolver.Options(catalog_url=url, port=0)) as serving,
        asyncio.TaskGroup() as group,
    ):
        following = [group.create_task(work(client, known)) for work in (follow.routes, follow.services)]
        held = []
        for count in (FEW, MANY):
            await _register(consul, name, count)
            most = await _until_seen(url, known, serving, name, count)
            held.append(most - begun)
        for task in following:
            task.cancel()
    assert max(held) <= follow.CONNECTIONS + CONNECTIONS + 1 < MANY
    for number in range(MANY):
        await agent.deregister(consul, f"{name}-{number}")


async def _register(consul: Consul, name: str, count: int) -> None:
    for number in range(count):
        own = f"{name}-{number}"
        meta = {Meta.ROUTE: f"{own}.test/"}
        await agent.register(consul, agent.Registration(own, address="127.0.0.1", port=80, meta=meta, checks=(CHECK,)))


async def _until_seen(url: str, known: Known, serving: resolver.Serving, name: str, count: int) -> int:
    """The most connections that there were until both knew that many services."""
    deadline, most = monotonic() + 60, 0
    while True:
        most = max(most, _connections(url))
        gateway = sum(service.startswith(name) for service in known.services)
        names = sum(service.startswith(name) for service in serving.following.view.services)
        if gateway == names == count and known.is_complete:
            return most
        assert monotonic() < deadline, f"of {count} services the gateway knows {gateway}, the resolver {names}"
        await asyncio.sleep(0.01)


def _connections(url: str) -> int:
    """How many connections of this machine lead to the server."""
    port = f":{urlsplit(url).port:04X}"
    lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(remote.endswith(port) and state == "01" for _, _, remote, state, *_ in lines)
