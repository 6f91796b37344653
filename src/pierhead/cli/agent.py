"""`pier agent`: the agent of one node, for any engine and any catalog that speaks the Consul HTTP API."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from pierhead.agent import channel
from pierhead.agent.options import NO_ENGINE, Options
from pierhead.boot import access, agent
from pierhead.cli import config, console
from pierhead.kit import address, errors, files, log

app = typer.Typer()

Engine = Annotated[str, typer.Option("--engine", help="Address of the engine's API.")]
NoEngine = Annotated[bool, typer.Option("--no-engine", help="This machine has no engine: only its files count.")]
Services = Annotated[Path, typer.Option("--services", help="The folder of the files that declare host services.")]
Advertise = Annotated[
    str,
    typer.Option("--advertise", help="The address registered for ports published on every address. Default: found."),
]
AdvertiseIpv6 = Annotated[
    str, typer.Option("--advertise-ipv6", help="The address for ports published on every IPv6 address only.")
]
NodeName = Annotated[
    str, typer.Option("--node-name", help="Name of this node. Default: the one it had, or the host's.")
]
Data = Annotated[Path, typer.Option("--data", help="The folder that keeps the node's identity.")]
Mount = Annotated[
    Path | None,
    typer.Option("--mount", help="The folder that instances see as /.pier, alike on all nodes. Default: in --data."),
]
Cluster = Annotated[str, typer.Option("--cluster", help="The cluster whose containers are Pierhead's own here.")]
Servers = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        help="Address of a server that may reach this node's containers. May be given several times.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", help="Holds this node's token for the server. Default: `token` in the data folder."),
]
Level = Annotated[str, typer.Option("--log-level", help="DEBUG, INFO, WARNING or ERROR.")]


@app.command("agent")
@console.exits
async def serve(
    data: Data,
    catalog: config.Catalog = "",
    engine: Engine = "unix:///var/run/docker.sock",
    no_engine: NoEngine = False,
    services: Services = Path("/etc/pierhead/services.d"),
    advertise: Advertise = "",
    advertise_ipv6: AdvertiseIpv6 = "",
    node_name: NodeName = "",
    mount: Mount = None,
    cluster: Cluster = "pier",
    server: Servers = None,
    token_file: TokenFile = None,
    level: Level = "INFO",
    settings: config.Access = None,
) -> None:
    """Register the engine's containers and this machine's host services until stopped.

    PIER_NODE_TOKEN is this node's token for the server, which is kept in the file.
    """
    told = config.with_catalog(settings, catalog)
    log.start(level)
    kept = token_file or data / "token"
    if token := os.environ.get("PIER_NODE_TOKEN"):
        kept.parent.mkdir(parents=True, exist_ok=True)
        files.replace(kept, token + "\n", mode=0o600)
    engine = NO_ENGINE if no_engine else engine
    await agent.alone(
        Options(
            engine=engine,
            catalog_url=told.catalog_url,
            catalog_token=told.catalog.token,
            catalog_tls=access.tls(told),
            advertise=_checked(advertise or address.own(), told.catalog_url),
            advertise_ipv6=advertise_ipv6,
            data=data,
            node_name=node_name,
            mount=mount,
            cluster=cluster,
            services=services,
        ),
        channel.Options([one.rstrip("/") for one in server], kept, engine, data) if server else None,
    )


def _checked(advertise: str, catalog: str) -> str:
    """The address, when others can be told it. Raises: Invalid."""
    try:
        found = ipaddress.ip_address(advertise)
    except ValueError:
        raise errors.Invalid(
            f"--advertise: {advertise!r} is no IP address.", hint="Others are told it as it is."
        ) from None
    host = urlsplit(catalog).hostname or ""
    is_here = host == "localhost" or host.startswith("127.") or host == "::1"
    if found.is_unspecified or (found.is_loopback and not is_here):
        raise errors.Invalid(
            f"--advertise: {advertise} leads nowhere from other machines, and the catalog at {host} tells them.",
            hint="Give the address that they reach this one at.",
        )
    return advertise
