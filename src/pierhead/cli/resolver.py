"""`pier dns`: the resolver alone, for a machine that only answers for names."""

from __future__ import annotations

from typing import Annotated

import typer

from pierhead.boot import resolver
from pierhead.cli import config as settings_file
from pierhead.cli import console
from pierhead.kit import log
from pierhead.resolver import plan
from pierhead.resolver.loop import Serving

app = typer.Typer()

Host = Annotated[str, typer.Option("--host", help="Address to listen on. Default: the setting resolver.host.")]
Port = Annotated[int, typer.Option("--port", help="Port to listen on. Default: the setting resolver.port.")]
Upstream = Annotated[str, typer.Option("--upstream", help="Who is asked for other names: address or address:port.")]
Print = Annotated[bool, typer.Option("--print", help="Print the names that were known last, and end.")]


@app.command("dns")
@console.exits
async def serve(
    config: settings_file.File = None,
    catalog: settings_file.Catalog = "",
    host: Host = "",
    port: Port = 0,
    upstream: Upstream = "",
    show: Print = False,
) -> None:
    """Answer for the names of apps and services until stopped."""
    flags = {"resolver.host": host, "resolver.port": str(port or ""), "resolver.upstream": upstream}
    settings = settings_file.with_catalog(config, catalog, {key: text for key, text in flags.items() if text})
    if show:
        options = resolver.options(settings)
        console.say(plan.describe(plan.records(resolver.known(settings), options.naming)) or "No names are known yet.")
        return
    log.start(settings.log_level, as_json=settings.log_json)
    await resolver.alone(settings, _announce)


def _announce(serving: Serving) -> None:
    console.note(f"Names are answered at {serving.address.host}:{serving.address.port}, UDP and TCP.")
