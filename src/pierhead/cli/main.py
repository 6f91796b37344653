"""`pier`: the command line, one module per noun."""

from __future__ import annotations

import typer

import pierhead
from pierhead.cli import (
    agent,
    appfile,
    apps,
    base,
    catalog,
    config,
    console,
    deploy,
    gateway,
    instances,
    lifecycle,
    login,
    resolver,
    secret,
)

app = typer.Typer(
    name="pier",
    help="Pierhead: from a commit to a named, balanced, reachable app.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _commands in (lifecycle, appfile, deploy, apps, instances, login, agent, catalog, gateway, resolver):
    app.add_typer(_commands.app)
for _name, _group in (("secret", secret), ("config", config), ("base", base)):
    app.add_typer(_group.app, name=_name)


@app.command()
@console.exits
def version(as_json: console.Json = False) -> None:
    """Show the version."""
    console.emit({"version": pierhead.__version__} if as_json else pierhead.__version__, as_json)


def main() -> None:
    """The console script `pier`."""
    app()
