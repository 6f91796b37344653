"""`pier host`: the services of this machine that are no containers. Speaks to the agent through its data folder."""

from __future__ import annotations

import asyncio
import difflib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pierhead.agent import host_state, identity
from pierhead.appfile import host_file, published
from pierhead.boot import home
from pierhead.cli import console
from pierhead.kit import errors
from pierhead.model.host import Service
from pierhead.settings import load

app = typer.Typer(no_args_is_help=True, help="The services of this machine that are no containers.")

_LOOK_SECONDS = 0.1

Data = Annotated[
    Path | None, typer.Option("--data", help="The agent's data folder. Default: that of a one-machine Pierhead.")
]
Name = Annotated[str, typer.Argument(help="The service's name in its file.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Come back when nobody uses it any more.")]


@app.command()
@console.exits
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files, or folders of them.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema for editors instead.")] = False,
    as_json: console.Json = False,
) -> None:
    """Tell every mistake in files of host services, or that there is none."""
    if schema:
        console.say(published.services_json_text().rstrip())
        return
    found = _read_all(paths or [load.load(None, os.environ, {}).agent.services])
    if as_json:
        console.emit({"files": found}, as_json=True)
        return
    for file, services in found.items():
        console.say(f"{file} is valid: {', '.join(one.name for one in services) or 'no service'}.")


@app.command("list")
@console.exits
def listing(data: Data = None, as_json: console.Json = False) -> None:
    """List the host services as the agent of this machine has them, and what is wrong with their files."""
    folder = _folder(data)
    state = {**host_state.read(folder), "running": identity.is_held(folder)}
    if as_json:
        console.emit(state, as_json=True)
        return
    columns = ("name", "service", "address", "state", "file", "reason")
    console.table([key.upper() for key in columns], [[one[key] for key in columns] for one in state["services"]])
    for problems in state["problems"].values():
        for one in problems:
            console.note(f"{one['place']}: {one['reason']}" + (f" ({one['hint']})" if one["hint"] else ""))
    if not state["running"]:
        console.note(f"No agent runs in {folder}: this is what the last one said.")


@app.command()
@console.exits
async def drain(name: Name, data: Data = None, wait: Wait = True, as_json: console.Json = False) -> None:
    """Take a host service out of use: no new request, then none at all, then it leaves the catalog. It holds until
    `pier host return`, whatever is restarted."""
    folder = _folder(data)
    _one(host_state.read(folder), name)
    _require_agent(folder)
    wish = host_state.wish(folder, name)
    wish.parent.mkdir(parents=True, exist_ok=True)
    wish.touch()
    if wait:
        await _until(folder, name, ("drained",))
    text = "is drained: nobody uses it." if wait else "drains. `pier host list` shows when nobody uses it."
    console.emit(_one(host_state.read(folder), name) if as_json else f"{name} {text}", as_json)


@app.command("return")
@console.exits
async def bring_back(name: Name, data: Data = None, wait: Wait = True, as_json: console.Json = False) -> None:
    """Let a host service that was drained be used again."""
    folder = _folder(data)
    _one(host_state.read(folder), name)
    _require_agent(folder)
    host_state.wish(folder, name).unlink(missing_ok=True)
    if wait:
        await _until(folder, name, ("passing", "critical", "warning", "maintenance"))
    one = _one(host_state.read(folder), name)
    console.emit(one if as_json else f"{name} is {one['state']}.", as_json)


def _read_all(paths: Sequence[Path]) -> Mapping[str, tuple[Service, ...]]:
    """The services by file. Raises: Invalid with the problems of all files together; NotFound."""
    found: dict[str, tuple[Service, ...]] = {}
    problems: list[errors.Problem] = []
    for file in (file for path in paths for file in _files(path)):
        try:
            found[str(file)] = host_file.read(_bytes(file), str(file))
        except errors.Invalid as error:
            problems += error.problems
    owners: dict[str, str] = {}
    for name, services in found.items():
        for one in services:
            if one.name in owners:
                problems.append(errors.Problem(f"{name} services.{one.name}", f"{owners[one.name]} has it too"))
            owners.setdefault(one.name, name)
    if problems:
        raise errors.Invalid(
            "The host services are not valid.",
            problems=problems,
            hint="docs/reference/services-d.md has every field.",
        )
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.iterdir() if one.suffix in host_file.SUFFIXES and not one.name.startswith("."))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise errors.NotFound(f"There is no {file}.") from None
    except OSError as error:
        raise errors.Invalid(f"{file} cannot be read: {error.strerror}.") from error


def _folder(data: Path | None) -> Path:
    return data or home.agent_folder(load.load(None, os.environ, {}).home)


def _require_agent(folder: Path) -> None:
    if not identity.is_held(folder):
        raise errors.Unavailable(f"No agent runs in {folder}.", hint="Start it, or name its folder with --data.")


def _one(state: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Raises: NotFound."""
    known: dict[str, Mapping[str, Any]] = {one["name"]: one for one in state["services"]}
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {close[0]}?" if close else "`pier host list` lists them."
        raise errors.NotFound(f"This machine has no host service {name!r}.", hint=hint)
    return known[name]


def _is_one_of(one: Mapping[str, Any], states: Sequence[str]) -> bool:
    """One that is critical without a reason was not asked yet."""
    return one["state"] in states and (one["state"] != "critical" or bool(one["reason"]))


async def _until(folder: Path, name: str, states: Sequence[str]) -> None:
    """The agent says that the service is in one of the states. Raises: Unavailable (the agent is gone)."""
    said, begin = "", time.monotonic()
    while not _is_one_of(one := _one(host_state.read(folder), name), states):
        if not identity.is_held(folder):
            raise errors.Unavailable(
                f"The agent in {folder} ended meanwhile.", hint="The wish stays: it goes on when the agent does."
            )
        if one["state"] != said:
            said = one["state"]
            console.note(f"{name} is {said}" + (f": {one['reason']}" if one["reason"] else ""))
        await asyncio.sleep(_LOOK_SECONDS)
    console.note(f"after {time.monotonic() - begin:.1f} s")
