"""`pier exec`: a command or a shell in an instance."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import Annotated

import typer

from pierhead.cli import console, session, terminal
from pierhead.cli.instances import Instance

app = typer.Typer()


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
