"""Settings: `config example` prints the annotated file, `config show` what holds here and who says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli import console
from pierhead.settings import describe, load

app = typer.Typer(name="config", help="Settings: what there is, and what holds here.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option("--config", help="The settings file.")]


@app.command()
@console.exits
def example() -> None:
    """Print a settings file with every setting, its default and its effect."""
    console.say(describe.example().rstrip())


@app.command()
@console.exits
def show(config: File = None, as_json: console.Json = False) -> None:
    """Show every setting that holds here, with the file, variable or default it comes from."""
    known = describe.all_settings()
    found = load.explain(config, os.environ, {})
    rows = [
        {"setting": key, "value": describe.shown(known[key], item.value), "from": item.origin}
        for key, item in found.items()
    ]
    if as_json:
        console.emit(rows, as_json)
    else:
        console.table(["SETTING", "VALUE", "FROM"], [list(row.values()) for row in rows])
