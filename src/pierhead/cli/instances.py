"""Instances: what they say, use and are, and a command or a shell in one."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import Annotated

import typer

from pierhead.cli import console, following, session, terminal
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
    """Show what an instance is, as its node's engine says; values that may be secrets are hidden."""
    async with session.connected() as api:
        console.emit(await api.get(f"/instances/{instance}/inspection"), as_json)


@app.command(context_settings={"allow_interspersed_args": False})
@console.exits
async def exec(
    instance: Instance,
    command: Annotated[list[str] | None, typer.Argument(help="The command; left out: a shell.")] = None,
    no_tty: Annotated[bool, typer.Option("--no-tty", "-T", help="Never make a terminal.")] = False,
) -> None:
    """Run a command in an instance, or open a shell. Ends with the command's exit code."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not no_tty
    size = shutil.get_terminal_size()
    words = command[1:] if command and command[0] == "--" else command or []
    query = [("command", word) for word in words]
    query += [("tty", str(interactive).lower()), ("rows", str(size.lines)), ("columns", str(size.columns))]
    terminal.leave_politely()
    try:
        async with session.connected() as api:
            code = await terminal.run(api, f"/instances/{instance}/exec", query, interactive=interactive)
    except asyncio.CancelledError:
        raise typer.Exit(console.INTERRUPTED) from None
    raise typer.Exit(code)
