"""`pier token`: who may use this Pierhead, each under a name of their own."""

from __future__ import annotations

from typing import Annotated

import typer

from pierhead.cli import console, session

app = typer.Typer(no_args_is_help=True, help="Let people and programs use this Pierhead, each under their own name.")

Name = Annotated[str, typer.Argument(help="Whose it is; approvals and changes are kept under this name.")]


@app.command()
@console.exits
async def create(name: Name, as_json: console.Json = False) -> None:
    """Make a token, and print it this once, for `pier login` or PIER_TOKEN. An older one is refused from now on."""
    async with session.connected() as api:
        made = await api.post(f"/tokens/{name}")
    console.emit(made if as_json else made["token"], as_json)


@app.command("list")
@console.exits
async def list_(as_json: console.Json = False) -> None:
    """List who holds a token."""
    async with session.connected() as api:
        console.emit(await api.get("/tokens"), as_json)


@app.command()
@console.exits
async def revoke(name: Name, as_json: console.Json = False) -> None:
    """Refuse somebody's token from now on."""
    async with session.connected() as api:
        await api.delete(f"/tokens/{name}")
    console.emit({"name": name} if as_json else f"The token of {name} is refused from now on.", as_json)
