"""The parts of a one-machine Pierhead, joined: what each is given, what it needs, and when it is ready."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pierhead.boot import access, agent, catalog, engine, home, registry, resolver, server
from pierhead.boot.supervise import Part, Report
from pierhead.gateway import loop as gateway
from pierhead.gateway.options import Options
from pierhead.kit import errors
from pierhead.settings import Settings, values
from pierhead.wire.gateway import client

_SOON = timedelta(milliseconds=100)
_LOOK = timedelta(seconds=3)
_OF_SERVER = ("engine", "registry", "catalog")


def of(settings: Settings, status: Callable[[], Any]) -> Sequence[Part]:
    """All parts, each after what it needs. `status` answers with what all of them say, for the API."""
    window = registry.Window()
    return [
        Part("engine", lambda report: engine.run(settings, report)),
        Part("registry", lambda report: registry.run(settings, report, window), needs=("engine",)),
        Part("catalog", lambda report: catalog.run(settings, report)),
        Part("gateway", lambda report: _gateway(settings, report)),
        Part("resolver", lambda report: resolver.run(settings, report)),
        Part("agent", lambda report: agent.run(settings, report), needs=("engine", "catalog")),
        Part("server", lambda report: _server(settings, status, window, report), needs=_OF_SERVER),
    ]


def gateway_options(settings: Settings) -> Options:
    """How the gateway of this machine is started."""
    told = settings.gateway
    return Options(
        name=told.name or f"gateway-{settings.agent.node_name or platform.node()}",
        catalog_url=settings.catalog_url,
        catalog_token=settings.catalog.token,
        catalog_tls=access.tls(settings),
        host=told.host,
        http_port=told.http_port,
        admin_host=told.admin_host,
        admin_port=told.admin_port,
        data=home.gateway_folder(settings.home),
        haproxy=told.haproxy,
        connection_limit=told.connection_limit,
        drain_limit=told.drain_limit,
        https_port=told.https_port,
        certificates=Path(told.certificates) if told.certificates else None,
        certificate_key=home.certificate_key(settings),
        default_certificate=told.default_certificate,
        pages=Path(told.pages) if told.pages else None,
        trusted=values.items(told.trusted_proxies),
        proxies=values.items(told.proxy_protocol),
        access_log=Path(told.access_log) if told.access_log else None,
        access_log_bytes=told.access_log_bytes,
        access_syslog=told.access_syslog,
    )


async def _server(settings: Settings, status: Callable[[], Any], window: registry.Window, report: Report) -> None:
    await server.run(settings, status, lambda: report.ready(settings.api_url), window.opened)


async def _gateway(settings: Settings, report: Report) -> None:
    options = gateway_options(settings)
    async with asyncio.TaskGroup() as group:
        group.create_task(gateway.run(options))
        group.create_task(_look_at_gateway(options, report))


async def _look_at_gateway(options: Options, report: Report) -> None:
    """Reports what the gateway says of itself, until cancelled."""
    url = f"http://{options.admin_host}:{options.admin_port}"
    while True:
        try:
            said = await client.status(url)
        except errors.Unavailable:
            said = {"state": "starting"}
        _tell(said, f"http://{options.host}:{options.http_port}", report)
        await asyncio.sleep((_LOOK if said["state"] == "ready" else _SOON).total_seconds())


def _tell(said: Mapping[str, Any], where: str, report: Report) -> None:
    match said["state"]:
        case "ready":
            report.ready(where)
        case "starting":
            report.starting("waits for HAProxy")
        case _:
            reasons = [f"{problem['route']}: {problem['reason']}" for problem in said.get("problems", [])]
            report.degraded(
                "; ".join(reasons) or "serves what it knew last",
                "The log (`log/pier.log` in the data folder) says when and why.",
            )
