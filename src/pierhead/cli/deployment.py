"""`pier deployment`: the moves from release to release; `pier receipt`: what they did to requests."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pierhead.cli import console, progress, session
from pierhead.cli.apps import App

app = typer.Typer(help="List, continue and cancel deployments.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(help="The deployment's number.")]
Maybe = Annotated[int | None, typer.Argument(help="The deployment's number. Left out: the newest one.")]


@app.command("list")
@console.exits
async def list_(
    app: App,
    environment: Annotated[str, typer.Option("--environment", "-e", help="Only there.")] = "",
    as_json: console.Json = False,
) -> None:
    """List an app's deployments, the newest first."""
    async with session.connected() as api:
        found = await api.get(f"/apps/{app}/deployments", environment=environment)
    if as_json:
        console.emit(found, as_json)
        return
    rows = [
        [d["id"], d["environment"], d["kind"], d["state"], d["author"], d["created_at"][:19], d["reason"]]
        for d in found
    ]
    console.table(["DEPLOYMENT", "ENVIRONMENT", "KIND", "STATE", "BY", "BEGUN", "WHY"], rows)


@app.command()
@console.exits
async def show(deployment: Number, as_json: console.Json = False) -> None:
    """Show a deployment's steps, and go on until it has ended."""
    async with session.connected() as api:
        if as_json:
            console.emit(await api.get(f"/deployments/{deployment}"), as_json)
        else:
            await progress.deployment(api, deployment, quiet=False)


@app.command("continue")
@console.exits
async def continue_(
    deployment: Number,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    as_json: console.Json = False,
) -> None:
    """Let a deployment go on that waits for a person, or that shall not wait any longer."""
    async with session.connected() as api:
        value = await api.post(f"/deployments/{deployment}/continue")
        if not detach:
            value = await progress.deployment(api, deployment, quiet=as_json)
    console.emit(value if as_json else f"Deployment {deployment} is {value['state']}.", as_json)


@app.command()
@console.exits
async def approve(deployment: Number, as_json: console.Json = False) -> None:
    """Let a deployment begin, where the environment asks for approvals."""
    async with session.connected() as api:
        value = await api.post(f"/deployments/{deployment}/approve")
    console.emit(value if as_json else f"Approved by {', '.join(value['approvals'])}.", as_json)


@app.command()
@console.exits
async def override(
    deployment: Number,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the deployment.")],
    as_json: console.Json = False,
) -> None:
    """Let a deployment begin although its environment is frozen."""
    async with session.connected() as api:
        value = await api.post(f"/deployments/{deployment}/override", {"reason": reason})
    console.emit(value if as_json else f"Freezes do not hold for deployment {deployment}: {value['override']}", as_json)


@app.command()
@console.exits
async def cancel(deployment: Number, as_json: console.Json = False) -> None:
    """End a deployment. What ran before comes back, by the same steps."""
    async with session.connected() as api:
        value = await api.post(f"/deployments/{deployment}/cancel")
    console.emit(value if as_json else f"Deployment {deployment} is cancelled; what ran before comes back.", as_json)


@app.command()
@console.exits
async def receipt(app: App, deployment: Maybe = None, as_json: console.Json = False) -> None:
    """Show what the gateways counted for both releases while a deployment moved."""
    async with session.connected() as api:
        query = {} if deployment is None else {"deployment": deployment}
        found = await api.get(f"/apps/{app}/receipt", **query)
    if as_json:
        console.emit(found, as_json)
        return
    moved = found["deployment"]
    console.say(
        f"Deployment {moved['id']} of {app} in {moved['environment']}: {moved['state']} {moved['reason']}".strip()
    )
    columns = ["RELEASE", "REQUESTS", "ERRORS", "FAILURES", "RETRIES", "ERROR RATE", "RESPONSE"]
    console.table(columns, [_row(one) for one in found["releases"]])
    console.say(f"{found['seconds']:.1f} s, {found['drained']} requests finished on instances that were leaving.")


def _row(one: dict[str, Any]) -> list[str]:
    numbers = [str(one[name]) for name in ("requests", "errors", "failures", "retries")]
    return [one["release"], *numbers, f"{100 * one['error_rate']:.2f} %", f"{one['response_ms']:.1f} ms"]
