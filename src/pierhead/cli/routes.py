"""`pier routes`: which names lead where, and what is wrong; `pier maintenance`: the page instead of an app."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from pierhead.cli import console, session
from pierhead.cli.apps import App, Environment

app = typer.Typer()


class Switch(StrEnum):
    ON = "on"
    OFF = "off"


@app.command("routes")
@console.exits
async def routes(as_json: console.Json = False) -> None:
    """List every route: host, path, service, state and what is wrong with it."""
    async with session.connected() as api:
        found = await api.get("/routes")
    console.emit(found if as_json else [line for route in found for line in _lines(route)], as_json)


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


def _lines(route: dict[str, Any]) -> list[dict[str, Any]]:
    """One a host and path."""
    sites = [(host, path) for host in route["hosts"] for path in route["paths"]]
    sites = sites or [(f":{route['service_port']}" if route["service_port"] else "", "")]
    return [
        {
            "host": host,
            "path": path,
            "service": route["service"],
            "state": route["state"],
            "route": route["name"],
            "problem": route["problem"],
        }
        for host, path in sites
    ]
