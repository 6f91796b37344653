"""Instances: what they say and are."""

from __future__ import annotations

from typing import Annotated

import typer

from pierhead.cli import console, following, session
from pierhead.cli.apps import App, Environment

app = typer.Typer()

Instance = Annotated[str, typer.Argument(help="The beginning of an instance's id, or an app's name.")]


@app.command()
@console.exits
async def logs(
    app: App,
    environment: Environment = "dev",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, also of instances that start later.")
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option("--tail", "-n", help="Lines of each instance to begin with. Default: 200, or all with --since."),
    ] = None,
    since: Annotated[str, typer.Option("--since", help="From then on: 10m ago, or 2026-11-23T06:10:15Z.")] = "",
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Show when each line was written.")] = False,
    as_json: console.Json = False,
) -> None:
    """Show what an app's instances say."""
    async with session.connected() as api:
        path = f"/apps/{app}/environments/{environment}/logs"
        async for line in following.lines(api, path, following.Wanted(follow, tail, since)):
            if as_json:
                console.emit_line(line)
            else:
                at = f"{line['at']}  " if timestamps else ""
                console.say(
                    f"{at}{line['instance'][:12]}  {line['text']}", style="red" if line["stream"] == "stderr" else ""
                )


@app.command()
@console.exits
async def inspect(instance: Instance, as_json: console.Json = False) -> None:
    """Show what an instance is, as its engine says. Values that may be secrets are hidden."""
    async with session.connected() as api:
        console.emit(await api.get(f"/instances/{instance}/inspection"), as_json)
