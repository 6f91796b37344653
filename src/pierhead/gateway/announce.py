"""The gateway in the catalog, so that agents and servers can ask it what it has applied."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from pierhead.gateway.options import Options
from pierhead.kit import errors
from pierhead.model.instance import GATEWAY_SERVICE
from pierhead.wire.consul import agent
from pierhead.wire.consul.client import Consul

TTL = timedelta(seconds=10)
INTERVAL = timedelta(seconds=3)
FORGOTTEN_AFTER = timedelta(minutes=1)


async def keep(client: Consul, options: Options) -> None:
    """The catalog lists this gateway for as long as this runs, again whenever it forgot it. Raises: PierError."""
    await agent.register(client, registration(options))
    while True:
        try:
            await agent.update_check(client, f"service:{service_id(options)}", "passing")
        except errors.NotFound:
            await agent.register(client, registration(options))
        await asyncio.sleep(INTERVAL.total_seconds())


async def withdraw(client: Consul, options: Options) -> None:
    """The catalog lists this gateway no longer. Raises: Unavailable."""
    await agent.deregister(client, service_id(options))


def service_id(options: Options) -> str:
    return f"{GATEWAY_SERVICE}:{options.name}"


def registration(options: Options) -> agent.Registration:
    check = agent.Check(
        ttl=TTL, status="passing", deregister_critical_service_after=FORGOTTEN_AFTER, name="controller is alive"
    )
    return agent.Registration(
        name=GATEWAY_SERVICE,
        id=service_id(options),
        address=options.admin_host,
        port=options.admin_port,
        meta={"http": f"{options.host}:{options.http_port}"},
        checks=(check,),
    )
