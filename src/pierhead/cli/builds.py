"""`pier builds`: what was built, how, and the end of what should not be."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pierhead.cli import console, progress, session


class _Commands(TyperGroup):
    """`pier builds 7` is `pier builds log 7`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, ["log", *args] if args[0].isdecimal() else args)


app = typer.Typer(cls=_Commands, help="List builds, show their logs, cancel them.")

Build = Annotated[int, typer.Argument(help="The build's number.")]


@app.callback(invoke_without_command=True)
def _builds(
    ctx: typer.Context,
    app_: Annotated[str, typer.Option("--app", help="Only of this app.")] = "",
    as_json: console.Json = False,
) -> None:
    """List builds, show their logs, cancel them. `pier builds NUMBER` shows a log."""
    if ctx.invoked_subcommand is None:
        list_(app_, as_json=as_json)


@app.command("list")
@console.exits
async def list_(
    app_: Annotated[str, typer.Option("--app", help="Only of this app.")] = "", as_json: console.Json = False
) -> None:
    """List builds, the newest first."""
    async with session.connected() as api:
        found = await api.get("/builds", app=app_)
    columns = ("id", "app", "environment", "state", "commit", "subject", "created_at")
    console.emit(found if as_json else [{key: b[key] for key in columns} for b in found], as_json)


@app.command()
@console.exits
async def log(build: Build, as_json: console.Json = False) -> None:
    """Show the log of a build, and follow it until it has ended."""
    async with session.connected() as api:
        if as_json:
            console.emit(await api.get(f"/builds/{build}"), as_json)
        else:
            await progress.build(api, build, quiet=False)


@app.command()
@console.exits
async def show(build: Build, as_json: console.Json = False) -> None:
    """Show a build and how long each of its steps took."""
    async with session.connected() as api:
        found = await api.get(f"/builds/{build}")
        steps = await api.get(f"/builds/{build}/steps")
    if as_json:
        console.emit({**found, "steps": steps}, as_json)
        return
    console.emit({key: value for key, value in found.items() if value not in ("", None)})
    console.say("")
    console.table(["STEP", "LINES", "SECONDS"], [[s["name"], s["lines"], _seconds(s)] for s in steps])


@app.command()
@console.exits
async def cancel(build: Build, as_json: console.Json = False) -> None:
    """End a queued or running build. Its containers and processes are gone soon after."""
    async with session.connected() as api:
        ended = await api.post(f"/builds/{build}/cancel")
    console.emit(ended if as_json else f"Build {build} of {ended['app']} is cancelled.", as_json)


def _seconds(step: dict[str, Any]) -> str:
    began, last = (datetime.fromisoformat(step[key]) for key in ("began_at", "last_at"))
    return f"{(last - began).total_seconds():.1f}"
