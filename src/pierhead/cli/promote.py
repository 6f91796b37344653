"""`pier plan` and `pier promote`: what would change, told before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pierhead import appfile
from pierhead.cli import console, progress, session
from pierhead.cli.apps import App, Environment
from pierhead.cli.deploy import APP_FILE
from pierhead.kit import errors
from pierhead.wire.git import repository

app = typer.Typer()

CHANGES = 2
"""Exit code of `pier plan` when something would change."""
_INVALID = 1
"""Of `pier plan` for what cannot be planned: 2 is taken."""


@app.command()
@console.exits
async def plan(
    folder: Annotated[Path, typer.Argument(help="A folder with a git repository.")] = Path(),
    ref: Annotated[str, typer.Option("--ref", help="Branch, tag or commit.")] = "HEAD",
    environment: Environment = "dev",
    as_json: console.Json = False,
) -> None:
    """Tell what deploying a commit would change, and the steps. Exit code 0: nothing, 2: something, 1: not valid."""
    try:
        found = await _planned(folder, ref, environment)
    except errors.Invalid as error:
        console.fail(error, as_json=as_json)
        raise typer.Exit(_INVALID) from None
    show(found, as_json=as_json)
    if found["differences"]:
        raise typer.Exit(CHANGES)


@app.command()
@console.exits
async def promote(
    app: App,
    source: Annotated[str, typer.Option("--from", help="The environment whose release is taken.")],
    target: Annotated[str, typer.Option("--to", help="Where it goes.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: console.Json = False,
) -> None:
    """Bring the image of one environment to another, after showing what differs."""
    body = {"source": source, "target": target}
    async with session.connected() as api:
        if not yes:
            found = await api.post(f"/apps/{app}/promotion/preview", body)
            show(found, as_json=as_json)
            if not found["differences"]:
                return
            if as_json or not typer.confirm(f"Promote {app} from {source} to {target}?"):
                raise errors.Refused("Nothing was changed.", hint="`--yes` promotes without asking.")
        started = await api.post(f"/apps/{app}/promotion", body)
        await progress.deployment(api, started["id"], quiet=as_json)
        place = await api.get(f"/apps/{app}/environments/{target}")
    if as_json:
        console.emit(place, as_json)
    else:
        console.say(f"{app} runs {place['release']} in {target}: {' '.join(place['urls'][:1])}", style="green")


async def _planned(folder: Path, ref: str, environment: str) -> dict[str, Any]:
    commit = await repository.resolve(folder, ref)
    text = await repository.show(folder, commit, APP_FILE)
    if text is None:
        raise errors.Invalid(f"Commit {commit[:10]} has no {APP_FILE}.", hint=f"`pier init {folder}` writes one.")
    name = appfile.read(text, APP_FILE).app
    async with session.connected() as api:
        body = {"file": text.decode(), "commit": commit}
        found: dict[str, Any] = await api.post(f"/apps/{name}/environments/{environment}/plan", body)
    return found


def show(found: dict[str, Any], *, as_json: bool) -> None:
    """What would change, and the steps."""
    if as_json:
        console.emit(found, as_json)
        return
    where = f"{found['app']} in {found['environment']}"
    if not found["differences"]:
        console.say(f"{where}: nothing would change.")
        return
    console.say(f"{where}, which has {found['before'] or 'no release'}:")
    for one in found["differences"]:
        name = f"{one['kind']} {one['name']}".strip()
        before, after = (("nothing" if one[side] is None else one[side]) for side in ("before", "after"))
        console.say(f"  {name}: {before} → {after}")
    for title, lines in (("Commits:", found["commits"]), ("Steps:", found["steps"])):
        if lines:
            console.say(title)
            for line in lines:
                console.say(f"  {line}")
