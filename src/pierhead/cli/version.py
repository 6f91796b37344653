"""`pier version`."""

from __future__ import annotations

import typer

import pierhead
from pierhead.cli import console

app = typer.Typer()


@app.command()
@console.exits
def version(as_json: console.Json = False) -> None:
    """Show the version."""
    console.emit({"version": pierhead.__version__} if as_json else pierhead.__version__, as_json)
