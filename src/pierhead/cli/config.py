"""Settings: `config example` prints the annotated file, `config show` what holds here and who says so."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli import console
from pierhead.settings import Settings, describe, load

app = typer.Typer(name="config", help="Settings: what there is, and what holds here.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option("--config", help="The settings file.")]
Access = Annotated[
    Path | None,
    typer.Option("--config", help="The settings file: its section `catalog` says token and TLS, as PIER_CATALOG_* do."),
]
Catalog = Annotated[
    str, typer.Option("--catalog", help="Address of the catalog. Default: the setting; http://127.0.0.1:8500.")
]


def with_catalog(file: Path | None, url: str, flags: Mapping[str, str] | None = None) -> Settings:
    """The settings that hold here, for a process that asks the catalog at `url`; empty: the one they name.

    Raises: what `load.load` does.
    """
    elsewhere = {"catalog.mode": "consul", "catalog.url": url} if url else {}
    return load.load(file, os.environ, {**elsewhere, **(flags or {})})


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
