"""One instance: its logs, and a command or a shell in it."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer

from pierhead.cli import console, session, terminal
from pierhead.cli.apps import App, Environment

app = typer.Typer()


@app.command()
@console.exits
async def logs(
    app: App,
    environment: Environment = "dev",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    tail: Annotated[int, typer.Option("--tail", "-n", help="Lines of each instance to begin with.")] = 200,
    as_json: console.Json = False,
) -> None:
    """Show what an app's instances say."""
    path = f"/apps/{app}/environments/{environment}/logs"
    async with session.connected() as api:
        async for event in api.events(path, follow=str(follow).lower(), tail=tail):
            line = event.get("data", {})
            if event.get("kind") == "end":
                return
            if as_json:
                console.emit_line(line)
            else:
                console.say(
                    f"{line['instance'][:12]}  {line['text']}", style="red" if line["stream"] == "stderr" else ""
                )


@app.command(context_settings={"allow_interspersed_args": False})
@console.exits
async def exec(
    instance: Annotated[str, typer.Argument(help="The beginning of an instance's id, or an app's name.")],
    command: Annotated[list[str] | None, typer.Argument(help="The command; left out: a shell.")] = None,
    no_tty: Annotated[bool, typer.Option("--no-tty", "-T", help="Never make a terminal.")] = False,
) -> None:
    """Run a command in an instance, or open a shell. Ends with the command's exit code."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not no_tty
    size = shutil.get_terminal_size()
    words = command[1:] if command and command[0] == "--" else command or []
    query = [("command", word) for word in words]
    query += [("tty", str(interactive).lower()), ("rows", str(size.lines)), ("columns", str(size.columns))]
    async with session.connected() as api, api.socket(f"/instances/{instance}/exec", query) as socket:
        code = await terminal.connect(socket, interactive=interactive)
    raise typer.Exit(code)
