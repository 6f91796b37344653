"""`pier up`, `pier down`, `pier status`: the Pierhead of this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from pierhead.boot import background, home, preflight, status, teardown
from pierhead.boot.background import Start
from pierhead.boot.status import Whole
from pierhead.boot.supervise import State, Status
from pierhead.boot.teardown import Down
from pierhead.cli import console
from pierhead.kit import clock, errors
from pierhead.kit.process import Process
from pierhead.settings import Settings, describe, load

app = typer.Typer()

Home = Annotated[str, typer.Option("--home", help="The data folder (PIER_HOME).")]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file (PIER_CONFIG).")]
Options = Annotated[list[str] | None, typer.Option("--option", "-o", help="A setting: `-o gateway.http_port=80`.")]

_NOT_READY = console.EXIT_CODES[errors.Unavailable]
_STYLES = {
    State.READY: "green",
    State.STARTING: "cyan",
    State.DEGRADED: "yellow",
    State.FAILED: "bold red",
    State.STOPPED: "dim",
}


@app.command()
@console.exits
def up(
    home: Home = "",
    config: Config = None,
    option: Options = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay here: for an init system.")] = False,
    wait: Annotated[int, typer.Option(min=1, help="Seconds until every part must be ready.")] = 180,
    as_json: console.Json = False,
) -> None:
    """Start Pierhead on this machine, in the background. Does nothing when it runs already."""
    flags = given(home, option or [])
    settings = load.load(config, os.environ, flags)
    if (whole := status.read(settings.home)).running:
        console.note(f"Pierhead runs already (pid {whole.pid}).")
        show(whole, as_json=as_json)
        return
    preflight.check(settings)
    start = Start(settings.home, variables(config, flags), timedelta(seconds=wait))
    if foreground:
        background.become(start)
    with _progress() as told:
        whole = asyncio.run(background.up(start, told))
    show(whole, as_json=as_json)


@app.command()
@console.exits
def down(
    home: Home = "",
    config: Config = None,
    option: Options = None,
    keep_apps: Annotated[bool, typer.Option("--keep-apps", help="Apps, engine and HAProxy stay up.")] = False,
    as_json: console.Json = False,
) -> None:
    """End everything that Pierhead started on this machine. Data stays."""
    settings = load.load(config, os.environ, given(home, option or []))
    asyncio.run(teardown.down(Down(settings, keep_apps), console.note))
    kept = [one.name for one in _running(settings)]
    text = f"Pierhead is down; {', '.join(kept)} and the apps stay up." if keep_apps else "Pierhead is down."
    console.emit({"running": False, "kept": kept} if as_json else text, as_json)


@app.command(name="status")
@console.exits
def status_of(home: Home = "", config: Config = None, option: Options = None, as_json: console.Json = False) -> None:
    """Show every part: its state, since when, what is wrong, what to do. Exit code 7 unless all are ready."""
    settings = load.load(config, os.environ, given(home, option or []))
    whole = status.read(settings.home)
    show(whole, as_json=as_json)
    if not whole.ready:
        raise typer.Exit(_NOT_READY)


def given(home: str, options: Sequence[str]) -> dict[str, str]:
    """The flags by the key of their setting. Raises: Invalid."""
    flags = {"home": str(Path(home).absolute())} if home else {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise errors.Invalid(f"-o {option}: write it as `-o key=value`.", hint="`pier config example` shows all.")
        flags[key.strip()] = value
    return flags


def variables(config: Path | None, flags: dict[str, str]) -> dict[str, str]:
    """The same settings for another process, where no process list shows them."""
    known = describe.all_settings()
    found = {known[key].variable: value for key, value in flags.items()}
    return {**found, "PIER_CONFIG": str(config.absolute())} if config else found


def show(whole: Whole, *, as_json: bool) -> None:
    """The parts, and where they are reached."""
    if as_json:
        console.emit(status.document(whole), as_json)
        return
    console.table(
        ["PART", "STATE", "SINCE", "WHERE", "WHAT IS WRONG", "WHAT TO DO"],
        [
            [part.name, part.state.value, ago(part.since, clock.now()), part.detail, part.problem, part.hint]
            for part in whole.parts
        ],
    )
    if whole.running:
        console.say("")
        console.pairs(list(whole.about.get("addresses", {}).items()))
    else:
        console.say("Pierhead does not run. `pier up` starts it.")


def ago(then: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that says something."""
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@contextmanager
def _progress() -> Iterator[Callable[[Whole], None]]:
    """What is told of a start is shown: drawn in place on a terminal, else one line for each change."""
    if console.is_terminal(sys.stderr):
        drawing = console.drawing()
        with drawing.live(answer=False) as live:
            yield lambda whole: live.update(drawing.grid([], _rows(whole.parts)), refresh=True)
        return
    seen: dict[str, Status] = {}

    def line(whole: Whole) -> None:
        for part in whole.parts:
            before = seen.get(part.name)
            seen[part.name] = part
            if before is None or (before.state, before.problem) != (part.state, part.problem):
                said = part.problem or part.detail
                console.note(f"{part.name:<10} {part.state.value}" + (f": {said}" if said else ""))

    yield line


def _rows(parts: Sequence[Status]) -> list[list[str | tuple[str, str]]]:
    return [[part.name, (part.state.value, _STYLES[part.state]), part.problem or part.detail] for part in parts]


def _running(settings: Settings) -> list[Process]:
    return home.running(settings.home)
