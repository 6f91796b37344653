"""`pier git`: how an app's repository is reached."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pierhead.cli import console, session
from pierhead.cli.apps import App

app = typer.Typer(help="Deploy keys and logins at git servers.", no_args_is_help=True)


@app.command()
@console.exits
async def show(app: App, as_json: console.Json = False) -> None:
    """Show the public deploy key, the known hosts and the login's name. Never what is secret."""
    async with session.connected() as api:
        console.emit(await api.get(f"/apps/{app}/git"), as_json)


@app.command()
@console.exits
async def key(app: App, as_json: console.Json = False) -> None:
    """Make a deploy key and print its public half, for the git server. The one before is forgotten."""
    async with session.connected() as api:
        made = await api.post(f"/apps/{app}/git/key")
    console.emit(made if as_json else made["public_key"], as_json)


@app.command()
@console.exits
async def hosts(app: App, as_json: console.Json = False) -> None:
    """Believe only the ssh hosts on standard input: `pier git hosts APP < known_hosts`."""
    text = sys.stdin.read()
    async with session.connected() as api:
        held = await api.put(f"/apps/{app}/git/known-hosts", {"text": text})
    count = len(held["known_hosts"].splitlines())
    console.emit(held if as_json else f"{count} known hosts for {app}.", as_json)


@app.command()
@console.exits
async def login(
    app: App,
    host: Annotated[str, typer.Argument(help="The git server: no other host is told the password.")],
    username: Annotated[str, typer.Option("--username", help="The name; any, beside most tokens.")] = "pier",
    as_json: console.Json = False,
) -> None:
    """Keep a name and a password or token for HTTPS. The password is read from standard input, or asked for."""
    password = typer.prompt("Password or token", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    body = {"host": host, "username": username, "password": password.rstrip("\n")}
    async with session.connected() as api:
        held = await api.put(f"/apps/{app}/git/login", body)
    console.emit(held if as_json else f"{app} is fetched from {host} as {username}.", as_json)


@app.command()
@console.exits
async def remove(app: App, as_json: console.Json = False) -> None:
    """Forget the app's deploy key, known hosts and login."""
    async with session.connected() as api:
        await api.delete(f"/apps/{app}/git")
    console.emit({"removed": app} if as_json else f"{app} is fetched with what the server's machine has.", as_json)
