"""`pier`: the command line, one module per noun. A module is imported when one of its commands is called.

Python needs longer to load all of them than most commands need for their work, so what a list shows of a command (`pier
--help`, completion) stands here beside the name of its module.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is."""

    module: str
    """In this package."""
    text: str
    """The first sentence of its help."""


COMMANDS: Mapping[str, Place] = {
    "up": Place("lifecycle", "Start Pierhead on this machine, in the background."),
    "down": Place("lifecycle", "End everything that Pierhead started on this machine."),
    "status": Place("lifecycle", "Show every part: its state, since when, what is wrong, what to do."),
    "init": Place("appfile", "Write a first pier.yaml by looking at a repository."),
    "validate": Place("appfile", "Tell every mistake in a pier.yaml, or that there is none."),
    "deploy": Place("deploy", "Build a commit, release it, and wait until it answers."),
    "build": Place("build", "Build a commit and release it nowhere."),
    "prune": Place("prune", "Tell which images nobody can go back to; with --yes remove them."),
    "ps": Place("apps", "Show what runs: apps by environment, and their instances."),
    "releases": Place("apps", "List an app's releases, the newest first."),
    "rollback": Place("apps", "Go back to an earlier release, its image and its config."),
    "restart": Place("apps", "Release the same image again, with the newest config and secrets."),
    "receipt": Place("deployment", "Show what the gateways counted for both releases while a deployment moved."),
    "plan": Place("promote", "Tell what deploying a commit would change, and the steps."),
    "promote": Place("promote", "Bring the image of one environment to another, after showing what differs."),
    "scale": Place("apps", "Change how many instances run, and wait until they do."),
    "remove": Place("apps", "End an app everywhere and forget it."),
    "maintenance": Place("maintenance", "Answer every request to an app with the maintenance page, or no longer."),
    "logs": Place("instances", "Show what an app's instances say."),
    "exec": Place("execute", "Run a command in an instance, or open a shell."),
    "run": Place("run", "Run a command once, with image, config and secrets of what runs."),
    "runs": Place("run", "Show what was run once, the newest first; one with the last lines that it wrote."),
    "stats": Place("stats", "Show what instances use: processors, memory, network."),
    "inspect": Place("instances", "Show what an instance is, as its engine says."),
    "login": Place("login", "Use the server at URL from now on."),
    "logout": Place("login", "Forget the login: the commands use this machine's own Pierhead again."),
    "agent": Place("agent", "Register the engine's containers and this machine's host services until stopped."),
    "catalog": Place("catalog", "Serve the Consul HTTP API until stopped."),
    "dns": Place("resolver", "Answer for the names of apps and services until stopped."),
    "version": Place("version", "Show the version."),
}
"""Command → where it is, in the order in which help shows them."""

GROUPS: Mapping[str, Place] = {
    "routes": Place("routes", "List routes; add and remove those of services that are no apps."),
    "builds": Place("builds", "List builds, show their logs, cancel them."),
    "deployment": Place("deployment", "List, continue and cancel deployments."),
    "release": Place("release", "Bar releases that must not come back."),
    "environment": Place("environment", "Make, change, list and remove environments."),
    "variable": Place("variable", "Set, list and compare the variables of an app."),
    "secret": Place("secret", "Set and list secrets, and replace the key that they are sealed with."),
    "hook": Place("hook", "Build what is pushed to a git server."),
    "git": Place("git", "Deploy keys and logins at git servers."),
    "certificate": Place("certificate", "Add, list and remove certificates."),
    "config": Place("config", "Settings: what there is, and what holds here."),
    "gateway": Place("gateway", "Serve what the catalog's routes say; show what is rendered."),
    "base": Place("base", "Make base images."),
    "registry": Place("registry", "The registry and its account."),
    "host": Place("host", "The services of this machine that are no containers."),
    "node": Place("node", "The machines that instances run on."),
    "token": Place("token", "Let people and programs use this Pierhead, each under their own name."),
}
"""Group of commands → where it is."""


class Commands(TyperGroup):
    """Lists commands from the table, and finds the one that is called in its module."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.commands = {name: TyperCommand(name, help=place.text) for name, place in {**COMMANDS, **GROUPS}.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and find(str(name)), rest


def find(name: str) -> Any:
    """The command or group, from its module."""
    module = (COMMANDS.get(name) or GROUPS[name]).module
    made = typer.main.get_command(importlib.import_module(f"pierhead.cli.{module}").app)
    found = made.commands[name] if name in COMMANDS and isinstance(made, TyperGroup) else made
    found.name = name
    return _plain(found)


def _plain(command: Any) -> Any:
    """Shows its help and its usage errors without Rich, which takes longer to load than most commands to work."""
    command.rich_markup_mode = None
    for one in getattr(command, "commands", {}).values():
        _plain(one)
    return command


app = typer.Typer(
    name="pier",
    cls=Commands,
    help="Pierhead: from a commit to a named, balanced, reachable app.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


@app.callback()
def _pier() -> None:
    """Pierhead: from a commit to a named, balanced, reachable app."""


def main() -> None:
    """The console script `pier`."""
    app()
