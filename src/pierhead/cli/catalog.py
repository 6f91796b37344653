"""`pier catalog`: the embedded catalog alone, for whoever wants it on a machine of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pierhead.boot import catalog
from pierhead.catalog.server import Address, Options
from pierhead.cli import console
from pierhead.kit import errors, log

app = typer.Typer()

Listen = Annotated[str, typer.Option("--listen", help="Address and port to listen on; port 0: any free one.")]
Data = Annotated[Path, typer.Option("--data", help="The folder that keeps it.")]
Datacenter = Annotated[str, typer.Option("--datacenter", help="Name of the datacenter it answers for.")]
Node = Annotated[str, typer.Option("--node", help="Name of its own node. Default: the machine's host name.")]


@app.command("catalog")
@console.exits
async def serve(data: Data, listen: Listen = "127.0.0.1:8500", datacenter: Datacenter = "dc1", node: Node = "") -> None:
    """Serve the Consul HTTP API until stopped. PIER_CATALOG_TOKEN is its root token."""
    log.start()
    host, port = _address(listen)
    token = os.environ.get("PIER_CATALOG_TOKEN", "")
    options = Options(host=host, port=port, data=data, datacenter=datacenter, node_name=node, token=token)
    await catalog.alone(options, _announce)


def _announce(address: Address) -> None:
    console.note(f"The catalog answers at {address.url}.")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise errors.Invalid(f"--listen: {text!r} is no address", hint="Write 127.0.0.1:8500 or [::1]:8500.")
    return host.strip("[]"), int(port)
