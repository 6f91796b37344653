"""`pier`: the command line, one module per noun. A module is imported when one of its commands is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS: Mapping[str, str] = {
    "up": "lifecycle",
    "down": "lifecycle",
    "status": "lifecycle",
    "init": "appfile",
    "validate": "appfile",
    "deploy": "deploy",
    "build": "build",
    "prune": "prune",
    "ps": "apps",
    "releases": "apps",
    "rollback": "apps",
    "restart": "apps",
    "receipt": "deployment",
    "plan": "promote",
    "promote": "promote",
    "scale": "apps",
    "remove": "apps",
    "maintenance": "maintenance",
    "logs": "instances",
    "exec": "instances",
    "run": "run",
    "runs": "run",
    "stats": "stats",
    "inspect": "instances",
    "login": "login",
    "logout": "login",
    "agent": "agent",
    "catalog": "catalog",
    "dns": "resolver",
    "version": "version",
}
"""Command → module of this package, in the order in which help shows them."""

GROUPS: Mapping[str, str] = {
    "routes": "routes",
    "builds": "builds",
    "deployment": "deployment",
    "release": "release",
    "environment": "environment",
    "variable": "variable",
    "secret": "secret",
    "hook": "hook",
    "git": "git",
    "certificate": "certificate",
    "config": "config",
    "gateway": "gateway",
    "base": "base",
    "registry": "registry",
    "host": "host",
    "node": "node",
    "token": "token",
}
"""Group of commands → module."""


class Commands(TyperGroup):
    """Finds commands in their modules."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        module = COMMANDS.get(cmd_name) or GROUPS.get(cmd_name)
        if module is None:
            return None
        made = typer.main.get_command(importlib.import_module(f"pierhead.cli.{module}").app)
        if cmd_name in COMMANDS and isinstance(made, TyperGroup):
            return made.commands[cmd_name]
        made.name = cmd_name
        return made


app = typer.Typer(
    name="pier",
    cls=Commands,
    help="Pierhead: from a commit to a named, balanced, reachable app.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _pier() -> None:
    """Pierhead: from a commit to a named, balanced, reachable app."""


def main() -> None:
    """The console script `pier`."""
    app()
