"""`pier node`: the machines that instances run on."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import typer

from pierhead.cli import console, environment, node_token, session
from pierhead.client import Api
from pierhead.kit import errors

app = typer.Typer(no_args_is_help=True, help="The machines that instances run on.")
app.add_typer(node_token.app, name="token")

Name = Annotated[str, typer.Argument(help="The node's name, or the beginning of its id.")]
_LOOK_SECONDS = 0.3


@app.command("list")
@console.exits
async def listing(as_json: console.Json = False) -> None:
    """List the nodes: how each is used, and how many instances it has."""
    async with session.connected() as api:
        found = await api.get("/nodes")
    if as_json:
        console.emit(found, as_json)
        return
    columns = ("name", "id", "role", "use", "state", "address", "instances", "labels")
    console.table([key.upper() for key in columns], [[console.cell(one[key]) for key in columns] for one in found])


@app.command()
@console.exits
async def drain(
    name: Name,
    now: Annotated[bool, typer.Option("--now", help="Do not wait until others are ready elsewhere.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Come back when the node is empty.")] = True,
    timeout: Annotated[int, typer.Option("--timeout", help="Seconds to wait at most.")] = 600,
    as_json: console.Json = False,
) -> None:
    """Empty a node: others are raised elsewhere, its instances finish their requests and end; it takes no new ones."""
    async with session.connected() as api:
        node = await api.post(f"/nodes/{name}/drain", {"now": now})
        if wait:
            node = await _until_empty(api, node["id"], timeout, quiet=as_json)
    state = "is drained." if node["use"] == "drained" else f"has {node['instances']} instances left."
    console.emit(node if as_json else f"{node['name']} {state}", as_json)


@app.command()
@console.exits
async def label(
    name: Name,
    labels: Annotated[list[str], typer.Argument(help="KEY=VALUE, once or more; KEY= removes one.")],
    as_json: console.Json = False,
) -> None:
    """Say what a node has, for apps and environments that ask for it (`placement.labels`, `--label`)."""
    async with session.connected() as api:
        node = await api.post(f"/nodes/{name}/labels", {"labels": dict(map(environment.label, labels))})
    console.emit(node if as_json else f"{node['name']} has {console.cell(node['labels']) or 'no labels'}.", as_json)


@app.command()
@console.exits
async def activate(name: Name, as_json: console.Json = False) -> None:
    """Let a node take instances again."""
    async with session.connected() as api:
        node = await api.post(f"/nodes/{name}/activate")
    console.emit(node if as_json else f"{node['name']} takes instances.", as_json)


async def _until_empty(api: Api, node_id: str, timeout: int, *, quiet: bool) -> dict[str, Any]:
    """Raises: Failed (it is not empty in time; the drain goes on)."""
    said, end = "", time.monotonic() + timeout
    while True:
        node: dict[str, Any] = await api.get(f"/nodes/{node_id}")
        if node["use"] == "drained":
            return node
        waits = "" if node["use"] == "draining" else f", and is {node['use']}: somebody else has changed it"
        starting = [one for one in await api.get("/instances") if one["state"] not in ("healthy", "draining")]
        text = f"{node['name']} has {node['instances']} instances left{waits}" + "".join(
            f"; {one['app']} in {one['environment']} {one['state']} {one['reason']}".rstrip() for one in starting[:3]
        )
        if time.monotonic() > end:
            raise errors.Failed(
                f"Not drained within {timeout} s: {text}.", hint="It goes on. `--now` does not wait for other nodes."
            )
        if text != said and not quiet:
            console.note(text)
            said = text
        await asyncio.sleep(_LOOK_SECONDS)
