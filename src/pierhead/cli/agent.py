"""`pier agent`: the agent of one node, for any engine and any catalog that speaks the Consul HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pierhead.agent.options import NO_ENGINE, Options
from pierhead.boot import agent
from pierhead.boot import catalog as access
from pierhead.cli import config, console
from pierhead.kit import address, log

app = typer.Typer()

Engine = Annotated[str, typer.Option("--engine", help="Address of the engine's API.")]
NoEngine = Annotated[bool, typer.Option("--no-engine", help="This machine has no engine: only its files count.")]
Services = Annotated[Path, typer.Option("--services", help="The folder of the files that declare host services.")]
Advertise = Annotated[
    str,
    typer.Option("--advertise", help="The address registered for ports published on every address. Default: found."),
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
    node_name: NodeName = "",
    mount: Mount = None,
    cluster: Cluster = "pier",
    level: Level = "INFO",
    settings: config.Access = None,
) -> None:
    """Register the engine's containers and this machine's host services until stopped."""
    told = config.with_catalog(settings, catalog)
    log.start(level)
    await agent.alone(
        Options(
            engine=NO_ENGINE if no_engine else engine,
            catalog_url=told.catalog_url,
            catalog_token=told.catalog.token,
            catalog_tls=access.tls(told),
            advertise=advertise or address.own(),
            data=data,
            node_name=node_name,
            mount=mount,
            cluster=cluster,
            services=services,
        )
    )
