"""`pier registry`: where images are, and with which account."""

from __future__ import annotations

import typer

from pierhead.cli import console, session

app = typer.Typer(help="The registry and its account.", no_args_is_help=True)


@app.command()
@console.exits
async def show(as_json: console.Json = False) -> None:
    """Show the registry's address, the account, and whether every engine service has been told it."""
    async with session.connected() as api:
        found = await api.get("/registry")
    if as_json:
        console.emit(found, as_json)
        return
    kind = "embedded" if found["is_embedded"] else "elsewhere"
    console.say(f"{found['address']} ({kind}), account {found['account'] or 'none'}")
    console.say(f"{found['told']} of {found['services']} engine services have been told it.")
    for name in found["old"]:
        console.say(f"{name} is let in until then.")


@app.command()
@console.exits
async def rotate(as_json: console.Json = False) -> None:
    """Make a new account, tell every engine service, then forget the old one. Nothing is restarted.

    With a registry elsewhere: tell every engine service what registry.password_file says now.
    """
    async with session.connected() as api:
        told = await api.post("/registry/rotate")
    old = f"; {', '.join(told['old'])} until every engine service has been told" if told["old"] else ""
    console.emit(told if as_json else f"{told['account']} is let in{old}.", as_json)
