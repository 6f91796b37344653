"""`pier routes`: which names lead where, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import typer

from pierhead.cli import console, session

app = typer.Typer()


@app.callback()
def _routes() -> None:
    """Routes as gateways carry them out."""


@app.command("routes")
@console.exits
async def routes(as_json: console.Json = False) -> None:
    """List every route: host, path, service, state and what is wrong with it."""
    async with session.connected() as api:
        found = await api.get("/routes")
    console.emit(found if as_json else [line for route in found for line in _lines(route)], as_json)


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
