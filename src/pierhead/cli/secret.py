"""`pier secret`: values that releases are delivered with and nobody is shown again."""

from __future__ import annotations

import base64
import sys
from typing import Annotated

import typer

from pierhead.cli import console, keys, session
from pierhead.cli.apps import App, Environment

app = typer.Typer(help="Set and list secrets, and replace the key that they are sealed with.", no_args_is_help=True)


@app.command("set")
@console.exits
async def set_(
    app: App,
    name: Annotated[str, typer.Argument(help="The secret's name: the file /run/secrets/NAME in each instance.")],
    environment: Environment = "dev",
    as_json: console.Json = False,
) -> None:
    """Set a secret. The value is read from standard input, or asked for, and is never an argument."""
    value = typer.prompt(name, hide_input=True).encode() if sys.stdin.isatty() else sys.stdin.buffer.read()
    body = {"value_base64": base64.b64encode(value).decode()}
    async with session.connected() as api:
        held = await api.put(f"/apps/{app}/environments/{environment}/secrets/{name}", body)
    text = f"{name} of {app} in {environment} has version {held['version']}; the next release gets it."
    console.emit(held if as_json else text, as_json)


@app.command("list")
@console.exits
async def list_(app: App, environment: Environment = "dev", as_json: console.Json = False) -> None:
    """List an app's secrets, without their values."""
    async with session.connected() as api:
        console.emit(await api.get(f"/apps/{app}/environments/{environment}/secrets"), as_json)


@app.command("rotate-key")
@console.exits
async def rotate_key(as_json: console.Json = False) -> None:
    """Replace the key that secrets, deploy keys, logins and webhooks are sealed with: all are sealed anew."""
    async with session.connected() as api:
        key = await keys.rotated(api, "secrets", quiet=as_json)
    text = f"Everything is sealed with the key {key['id']}; keep a copy of secret.key, apart from the database."
    console.emit(key if as_json else text, as_json)
