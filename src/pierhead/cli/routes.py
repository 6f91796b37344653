"""`pier routes`: which names lead where, and what is wrong; routes of one's own, to services that are no apps."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from pierhead.cli import console, session
from pierhead.kit import errors

app = typer.Typer(help="List routes; add and remove those of services that are no apps.")

Name = Annotated[str, typer.Argument(help="The route's name.")]
Service = Annotated[str, typer.Option("--service", help="The service of the catalog that requests are led to.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="A name that leads there; once or more.")]
Paths = Annotated[list[str] | None, typer.Option("--path", help="A path that leads there; once or more. Default: /.")]
Port = Annotated[int | None, typer.Option("--service-port", help="A port of every gateway that leads there.")]
Protocol = Annotated[str, typer.Option("--protocol", help="http, grpc or tcp. Default: http.")]
Weights = Annotated[
    list[str] | None, typer.Option("--weight", help="RELEASE=SHARE, 0 to 256; `*` stands for the others; once or more.")
]
Fields = Annotated[
    list[str] | None,
    typer.Option("--set", help="FIELD=VALUE, any other field of a route, such as sticky=true; once or more."),
]
File = Annotated[Path | None, typer.Option("--file", help="A JSON document to begin with; - reads it from the input.")]
Replace = Annotated[bool, typer.Option("--replace", help="Put it in the place of a different route of that name.")]


@app.callback(invoke_without_command=True)
@console.exits
async def routes(ctx: typer.Context, as_json: console.Json = False) -> None:
    """List every route: host, path, service, state and what is wrong with it."""
    if ctx.invoked_subcommand:
        return
    async with session.connected() as api:
        found = await api.get("/routes")
    console.emit(found if as_json else [line for route in found for line in _lines(route)], as_json)


@app.command("add")
@console.exits
async def add(
    name: Name,
    service: Service = "",
    host: Hosts = None,
    path: Paths = None,
    service_port: Port = None,
    protocol: Protocol = "",
    weight: Weights = None,
    field: Fields = None,
    file: File = None,
    replace: Replace = False,
    as_json: console.Json = False,
) -> None:
    """Lead a name, path or port to any service of the catalog: virtual machines, plain containers."""
    weights = {release: _value(share) for release, share in map(_pair("--weight"), weight or ())}
    given = {
        "service": service,
        "hosts": host,
        "paths": path,
        "service_port": service_port,
        "protocol": protocol,
        "weights": weights,
    }
    document = (_document(file) if file else {}) | {key: value for key, value in given.items() if value}
    document |= {key: _value(text) for key, text in map(_pair("--set"), field or ())}
    where = f"/routes/{quote(name, safe='')}" + ("?replace=true" if replace else "")
    async with session.connected() as api:
        held = await api.put(where, document)
    text = f"{_places(held)} leads to {held['service'] or held['redirect']}; `pier routes` shows its state."
    console.emit(held if as_json else text, as_json)


@app.command("remove")
@console.exits
async def remove(name: Name, as_json: console.Json = False) -> None:
    """Remove a route that was added; those of apps follow from their releases."""
    async with session.connected() as api:
        await api.delete(f"/routes/{quote(name, safe='')}")
    console.emit({"removed": name} if as_json else f"{name} leads nowhere any more.", as_json)


def _document(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text())
    except (OSError, ValueError) as error:
        raise errors.Invalid(f"{file} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise errors.Invalid(f"{file} is no route: a route is a JSON object.")
    return found


def _pair(flag: str) -> Any:
    def parted(text: str) -> tuple[str, str]:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise errors.Invalid(f"{flag} {text}: write it as NAME=VALUE.")
        return key, value

    return parted


def _value(text: str) -> Any:
    """As JSON where it is some, so that true, 308 and lists are what they look like; text otherwise."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _places(route: dict[str, Any]) -> str:
    names = [f"{host}{path}" for host in route["hosts"] for path in route["paths"]]
    return ", ".join([*names, *([f"port {route['service_port']}"] if route["service_port"] else [])])


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
