"""`pier agent`: the agent of one node, for any engine and any catalog that speaks the Consul HTTP API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pierhead.agent.options import NO_ENGINE, Options
from pierhead.boot import agent
from pierhead.cli import console
from pierhead.kit import address, log

app = typer.Typer()

Catalog = Annotated[str, typer.Option("--catalog", help="Address of the catalog: http://127.0.0.1:8500.")]
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
    catalog: Catalog = "http://127.0.0.1:8500",
    engine: Engine = "unix:///var/run/docker.sock",
    no_engine: NoEngine = False,
    services: Services = Path("/etc/pierhead/services.d"),
    advertise: Advertise = "",
    node_name: NodeName = "",
    mount: Mount = None,
    cluster: Cluster = "pier",
    level: Level = "INFO",
) -> None:
    """Register the engine's containers and this machine's host services until stopped. PIER_CATALOG_TOKEN is the
    catalog's token."""
    log.start(level)
    await agent.alone(
        Options(
            engine=NO_ENGINE if no_engine else engine,
            catalog_url=catalog,
            catalog_token=os.environ.get("PIER_CATALOG_TOKEN", ""),
            advertise=advertise or address.own(),
            data=data,
            node_name=node_name,
            mount=mount,
            cluster=cluster,
            services=services,
        )
    )
