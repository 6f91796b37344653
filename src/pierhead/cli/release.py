"""`pier release`: what may not come back."""

from __future__ import annotations

from typing import Annotated

import typer

from pierhead.cli import console, session
from pierhead.cli.apps import App, Environment, number

app = typer.Typer(help="Bar releases that must not come back.", no_args_is_help=True)


@app.command()
@console.exits
async def bar(
    app: App,
    release: Annotated[str, typer.Argument(help="The release: v3.")],
    reason: Annotated[str, typer.Option("--reason", help="Why nobody may go to it again.")],
    environment: Environment = "dev",
    as_json: console.Json = False,
) -> None:
    """Refuse a release as a target of rollback and promotion. What runs, runs on."""
    path = f"/apps/{app}/environments/{environment}/releases/{number(release)}/bar"
    async with session.connected() as api:
        found = await api.put(path, {"reason": reason})
    console.emit(found if as_json else f"{app} {release} in {environment} is barred: {reason}", as_json)


@app.command()
@console.exits
async def unbar(
    app: App,
    release: Annotated[str, typer.Argument(help="The release: v3.")],
    environment: Environment = "dev",
    as_json: console.Json = False,
) -> None:
    """Let a release be a target again."""
    async with session.connected() as api:
        await api.delete(f"/apps/{app}/environments/{environment}/releases/{number(release)}/bar")
    console.emit({"unbarred": release} if as_json else f"{app} {release} in {environment} may come back.", as_json)
