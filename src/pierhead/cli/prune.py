"""`pier prune`: images that nobody can go back to."""

from __future__ import annotations

from typing import Annotated

import typer

from pierhead.cli import console, session
from pierhead.kit import units

app = typer.Typer()


@app.command()
@console.exits
async def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Do it, instead of only telling.")] = False,
    as_json: console.Json = False,
) -> None:
    """Tell which images nobody can go back to; with --yes remove them. Retained releases keep theirs."""
    async with session.connected() as api:
        found = await (api.post("/prune") if yes else api.get("/prune"))
    if as_json:
        console.emit(found, as_json)
        return
    for line in found["removed" if yes else "removals"]:
        console.say(line)
    size = units.size_text(found["size"])
    if yes:
        console.say(f"{size} of the registry are free again; {found['from_engine']} images are gone from the engine.")
    else:
        console.say(f"{size} could be freed; {found['kept']} images stay. `pier prune --yes` does it.")
