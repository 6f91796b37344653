"""`pier maintenance`: the maintenance page instead of an app."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from pierhead.cli import console, session
from pierhead.cli.apps import App, Environment

app = typer.Typer()


class Switch(StrEnum):
    ON = "on"
    OFF = "off"


@app.command("maintenance")
@console.exits
async def maintenance(
    switch: Annotated[Switch, typer.Argument(help="`on` or `off`.")],
    app: App,
    environment: Environment = "dev",
    as_json: console.Json = False,
) -> None:
    """Answer every request to an app with the maintenance page, or no longer."""
    async with session.connected() as api:
        place = f"/apps/{app}/environments/{environment}"
        held = await api.put(f"{place}/maintenance", {"is_on": switch is Switch.ON})
    text = f"{app} in {environment} {'shows the maintenance page' if switch is Switch.ON else 'is answered again'}."
    console.emit(held if as_json else text, as_json)
