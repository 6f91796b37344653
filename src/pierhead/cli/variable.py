"""`pier variable`: the config of an app. Every change is a revision, and makes a release."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pierhead.cli import console, progress, session
from pierhead.cli.apps import App
from pierhead.client import Api
from pierhead.kit import errors

app = typer.Typer(help="Set, list and compare the variables of an app.", no_args_is_help=True)

Scope = Annotated[str, typer.Option("--environment", "-e", help="Only there. Left out: in all environments.")]
Later = Annotated[bool, typer.Option("--later", help="Release nothing now; the next release has it.")]


@app.command("set")
@console.exits
async def set_(
    app: App,
    assignments: Annotated[list[str], typer.Argument(help="NAME=VALUE, once or more.")],
    environment: Scope = "",
    later: Later = False,
    as_json: console.Json = False,
) -> None:
    """Set variables, release with them where that makes a difference, and wait until those releases run."""
    await _change(app, environment, dict(map(_assignment, assignments)), later=later, as_json=as_json)


@app.command()
@console.exits
async def unset(
    app: App,
    names: Annotated[list[str], typer.Argument(help="NAME, once or more.")],
    environment: Scope = "",
    later: Later = False,
    as_json: console.Json = False,
) -> None:
    """Remove variables, release without them, and wait until those releases run."""
    await _change(app, environment, dict.fromkeys(names), later=later, as_json=as_json)


@app.command("list")
@console.exits
async def list_(app: App, environment: Scope = "", as_json: console.Json = False) -> None:
    """Show the variables that hold, where each is set, and whether what runs has it."""
    async with session.connected() as api:
        found = await api.get(f"/apps/{app}/variables", environment=environment)
    if as_json:
        console.emit(found, as_json)
        return
    rows = [[one["name"], one["value"], one["scope"], _released(environment, one)] for one in found]
    console.table(["NAME", "VALUE", "FROM", "RUNS"], rows)


@app.command()
@console.exits
async def history(app: App, as_json: console.Json = False) -> None:
    """List the revisions of the config: who changed what, and when."""
    async with session.connected() as api:
        found = await api.get(f"/apps/{app}/config")
    if as_json:
        console.emit(found, as_json)
        return
    rows = [
        [one["number"], one["created_at"][:19], one["author"], one["environment"] or "all", _changes(one["changes"])]
        for one in found
    ]
    console.table(["REVISION", "AT", "BY", "ENVIRONMENT", "CHANGES"], rows)


@app.command()
@console.exits
async def diff(
    app: App,
    before: Annotated[int, typer.Argument(help="The revision to compare with.")],
    after: Annotated[int | None, typer.Argument(help="The other one. Left out: the config of now.")] = None,
    environment: Scope = "",
    as_json: console.Json = False,
) -> None:
    """Show what differs between two revisions of the config."""
    query: dict[str, str | int] = {"before": before, "environment": environment}
    async with session.connected() as api:
        found = await api.get(f"/apps/{app}/config/difference", **query if after is None else {**query, "after": after})
    if as_json:
        console.emit(found, as_json)
        return
    for one in found:
        if one["before"] is not None:
            console.say(f"- {one['name']}={one['before']}", style="red")
        if one["after"] is not None:
            console.say(f"+ {one['name']}={one['after']}", style="green")


async def _change(app: str, environment: str, changes: dict[str, str | None], *, later: bool, as_json: bool) -> None:
    body = {"environment": environment, "variables": changes, "later": later}
    async with session.connected() as api:
        changed = await api.patch(f"/apps/{app}/variables", body)
        for deployment in changed["deployments"]:
            await progress.deployment(api, deployment["id"], quiet=as_json)
        console.emit(changed if as_json else await _said(api, app, changed), as_json)


async def _said(api: Api, app: str, changed: dict[str, Any]) -> str:
    number = changed["revision"]["number"]
    if not changed["deployments"]:
        return f"The config of {app} has revision {number}; the next release has it."
    places = [await api.get(f"/apps/{app}/environments/{one['environment']}") for one in changed["deployments"]]
    runs = ", ".join(f"{place['release']} in {place['environment']}" for place in places)
    return f"The config of {app} has revision {number}: {runs}."


def _assignment(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not equals:
        raise errors.Invalid(f"{text!r}: write it as NAME=VALUE.", hint="`pier variable unset` removes a variable.")
    return name, value


def _changes(changes: dict[str, str | None]) -> str:
    return ", ".join(f"{name} removed" if value is None else f"{name}={value}" for name, value in changes.items())


def _released(environment: str, variable: dict[str, Any]) -> str:
    if not environment:
        return ""
    return "yes" if variable["is_released"] else "with the next release"
