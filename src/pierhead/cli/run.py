"""`pier run`: a command once, in a container of what an environment runs; `pier runs`: those there were."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import Annotated, Any

import typer

from pierhead.cli import console, session, terminal
from pierhead.cli.apps import App, Environment
from pierhead.client import Api
from pierhead.kit import errors

app = typer.Typer()

_LOOK_SECONDS, _TOLD_SECONDS = 0.1, 2


@app.command(context_settings={"allow_interspersed_args": False})
@console.exits
async def run(
    app: App,
    command: Annotated[list[str], typer.Argument(help="The command and its words, after all options.")],
    environment: Environment = "dev",
    env: Annotated[list[str] | None, typer.Option("--env", help="NAME=VALUE besides the release's variables.")] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Do not watch it: `pier runs` shows how it ends.")
    ] = False,
    no_tty: Annotated[bool, typer.Option("--no-tty", "-T", help="Never make a terminal.")] = False,
    as_json: console.Json = False,
) -> None:
    """Run a command once, with image, config and secrets of what runs. Ends with its exit code.

    With --json what it writes is on standard error, and how it ended on standard output.
    """
    words = command[1:] if command[0] == "--" else command
    body = {"command": words, "variables": _variables(env or []), "is_watched": not detach}
    terminal.leave_politely()
    try:
        async with session.connected() as api:
            begun = await api.post(f"/apps/{app}/environments/{environment}/runs", body)
            if detach:
                text = f"Run {begun['id']} is on its way: `pier runs {app} {begun['id']}`."
                console.emit(begun if as_json else text, as_json)
                return
            ended = await _watched(api, begun, interactive=_is_terminal() and not no_tty and not as_json, quiet=as_json)
    except asyncio.CancelledError:
        raise typer.Exit(console.INTERRUPTED) from None
    if as_json:
        console.emit(ended, as_json)
    raise typer.Exit(ended["exit_code"])


@app.command()
@console.exits
async def runs(
    app: App,
    number: Annotated[int | None, typer.Argument(help="Only this one, with what it wrote.")] = None,
    end: Annotated[bool, typer.Option("--end", help="End it.")] = False,
    as_json: console.Json = False,
) -> None:
    """Show what was run once, the newest first; one with the last lines that it wrote."""
    if end and number is None:
        raise errors.Invalid("Name the run that shall end.", hint=f"`pier runs {app}` lists them.")
    async with session.connected() as api:
        if number is None:
            found = await api.get(f"/apps/{app}/runs")
        else:
            found = await (api.post(f"/runs/{number}/end") if end else api.get(f"/runs/{number}"))
    if as_json:
        console.emit(found, as_json)
        return
    rows = [_row(one) for one in (found if number is None else [found])]
    console.table(["RUN", "ENVIRONMENT", "BY", "COMMAND", "STATE", "EXIT CODE", "BEGUN", "WHY"], rows)
    if number is not None and found["output"]:
        console.say(f"\n{found['output']}")


async def _watched(api: Api, run: dict[str, Any], *, interactive: bool, quiet: bool) -> dict[str, Any]:
    """How it ended. Whatever happens here, it has ended then. Raises: Failed (it never ran)."""
    code: int | None = None
    try:
        run = await _running(api, run)
        size = shutil.get_terminal_size()
        query = [("command", word) for word in run["words"]]
        query += [("tty", str(interactive).lower()), ("rows", str(size.lines)), ("columns", str(size.columns))]
        out = sys.stderr if quiet else sys.stdout
        code = await terminal.run(api, f"/instances/{run['instance']}/exec", query, interactive=interactive, out=out)
    finally:
        ended = await asyncio.shield(_end(api, run, code))
    return {**ended, "exit_code": code}  # also where somebody else had ended it


async def _end(api: Api, run: dict[str, Any], code: int | None) -> dict[str, Any]:
    try:
        return dict(await api.post(f"/runs/{run['id']}/end", {"exit_code": code}))
    except errors.Conflict:  # it had ended already
        return dict(await api.get(f"/runs/{run['id']}"))
    except errors.Unavailable:
        if code is None:
            raise
        return run  # the command has ended, and its container ends by itself


async def _running(api: Api, run: dict[str, Any]) -> dict[str, Any]:
    """The run once its container runs; on the way it is told what it waits for. Raises: Failed."""
    loop = asyncio.get_running_loop()
    told, since = "", loop.time()
    while run["state"] != "running":
        if run["state"] != "waiting":
            raise errors.Failed(
                f"It was not run: {run['reason']}", hint=f"`pier runs {run['app']}` lists what was run."
            )
        if run["reason"] != told and loop.time() - since > _TOLD_SECONDS:
            told = run["reason"]
            console.note(f"waits: {told}")
        await asyncio.sleep(_LOOK_SECONDS)
        run = await api.get(f"/runs/{run['id']}")
    return run


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _variables(texts: list[str]) -> dict[str, str]:
    """Raises: Invalid."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise errors.Invalid(f"--env {text}: write it as NAME=VALUE.")
        found[name] = value
    return found


def _row(one: dict[str, Any]) -> list[Any]:
    code = "" if one["exit_code"] is None else one["exit_code"]
    words = " ".join(one["command"])
    return [
        one["id"],
        one["environment"],
        one["author"],
        words,
        one["state"],
        code,
        one["created_at"][:19],
        one["reason"],
    ]
