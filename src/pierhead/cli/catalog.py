"""`pier catalog`: the embedded catalog alone, for whoever wants it on a machine of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pierhead.boot import catalog
from pierhead.catalog.server import Address
from pierhead.cli import config, console
from pierhead.kit import errors, log
from pierhead.settings import load

app = typer.Typer()

Listen = Annotated[
    str,
    typer.Option("--listen", help="Address and port to listen on; port 0: any free one. Default: 127.0.0.1:8500."),
]
Data = Annotated[Path, typer.Option("--data", help="The folder that keeps it.")]
Datacenter = Annotated[str, typer.Option("--datacenter", help="Name of the datacenter it answers for. Default: dc1.")]
Node = Annotated[str, typer.Option("--node", help="Name of its own node. Default: the machine's host name.")]


@app.command("catalog")
@console.exits
async def serve(
    data: Data, listen: Listen = "", datacenter: Datacenter = "", node: Node = "", settings: config.File = None
) -> None:
    """Serve the Consul HTTP API until stopped. The settings say tokens and TLS."""
    flags = {"catalog.mode": "embedded", "catalog.url": "", "agent.node_name": node}
    told = load.load(settings, os.environ, flags | ({"catalog.datacenter": datacenter} if datacenter else {}))
    log.start(told.log_level, as_json=told.log_json)
    options = replace(catalog.options(told), data=data)
    if listen:
        host, port = _address(listen)
        options = replace(options, host=host, port=port)
    await catalog.alone(options, _announce)


def _announce(address: Address) -> None:
    console.note(f"The catalog answers at {address.url}.")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise errors.Invalid(f"--listen: {text!r} is no address", hint="Write 127.0.0.1:8500 or [::1]:8500.")
    return host.strip("[]"), int(port)
