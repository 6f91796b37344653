"""`pier login`, `pier logout`: which server the commands talk to."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from pierhead import client
from pierhead.cli import console, session

app = typer.Typer()


@app.command()
@console.exits
async def login(
    url: Annotated[str, typer.Argument(help="The server's address, for example http://10.0.0.5:4400.")],
    as_json: console.Json = False,
) -> None:
    """Use the server at URL from now on. The token is PIER_TOKEN, read from standard input, or asked for."""
    token = os.environ.get("PIER_TOKEN", "")
    if not token:
        token = typer.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    async with client.connected(url, token) as api:
        await api.get("/environments")
    kept = session.keep(url, token)
    console.emit({"url": url, "kept_in": str(kept)} if as_json else f"Logged in to {url}. Kept in {kept}.", as_json)


@app.command()
@console.exits
def logout(as_json: console.Json = False) -> None:
    """Forget the login: the commands use this machine's own Pierhead again."""
    forgotten = session.forget()
    text = "Logged out." if forgotten else "There was no login."
    console.emit({"logged_out": forgotten} if as_json else text, as_json)
