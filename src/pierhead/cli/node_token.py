"""`pier node token`: what lets a node's agent connect to the server."""

from __future__ import annotations

from typing import Annotated

import typer

from pierhead.cli import console, session

app = typer.Typer(no_args_is_help=True, help="Let a node's agent connect to the server.")

Name = Annotated[str, typer.Argument(help="The node's name, as its agent is started with.")]


@app.command()
@console.exits
async def create(name: Name, as_json: console.Json = False) -> None:
    """Make a token for a node, and print it this once. The one before it is refused from now on."""
    async with session.connected() as api:
        made = await api.post(f"/nodes/{name}/token")
    console.emit(made if as_json else made["token"], as_json)


@app.command()
@console.exits
async def revoke(name: Name, as_json: console.Json = False) -> None:
    """Refuse a node's token from now on, and disconnect its agent."""
    async with session.connected() as api:
        await api.delete(f"/nodes/{name}/token")
    console.emit({"node": name} if as_json else f"The token of node {name} is refused from now on.", as_json)
