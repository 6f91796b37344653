"""Apps where they are: `ps`, `releases`, `rollback`, `restart`, `scale`, `remove`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from pierhead.cli import console, progress, session
from pierhead.client import Api
from pierhead.kit import errors
from pierhead.model.instance import is_host

app = typer.Typer()

App = Annotated[str, typer.Argument(help="The app's name.")]
Environment = Annotated[str, typer.Option("--environment", "-e", help="The environment.")]
_SETTLE_SECONDS = 120


@app.command()
@console.exits
async def ps(name: Annotated[str, typer.Argument(help="Only this app.")] = "", as_json: console.Json = False) -> None:
    """Show what runs: apps by environment, and their instances."""
    async with session.connected() as api:
        environments = await api.get("/environments", app=name)
        instances = await api.get("/instances", app=name)
    if as_json:
        console.emit({"environments": environments, "instances": instances}, as_json)
        return
    if not environments:
        console.say("Nothing is deployed. `pier deploy PATH` deploys an app; examples/notes is one.")
        return
    console.table(
        ["APP", "ENVIRONMENT", "RELEASE", "COMMIT", "INSTANCES", "URL"],
        [
            [
                e["app"],
                e["environment"],
                e["release"] or "-",
                f"{e['commit'][:10]} {e['subject'][:40]}",
                _healthy(e, instances),
                (e["urls"] or [""])[0],
            ]
            for e in environments
        ],
    )
    console.say("")
    console.table(
        ["INSTANCE", "APP", "ENVIRONMENT", "RELEASE", "NODE", "ADDRESS", "STATE", "WHY"],
        [
            [
                i["id"][:12],
                i["app"],
                i["environment"],
                i["release"],
                i["node"],
                ", ".join(i["addresses"]),
                i["state"],
                i["reason"],
            ]
            for i in instances
        ],
    )


@app.command()
@console.exits
async def releases(app: App, environment: Environment = "", as_json: console.Json = False) -> None:
    """List an app's releases, the newest first."""
    async with session.connected() as api:
        found = await api.get(f"/apps/{app}/releases", environment=environment)
    if as_json:
        console.emit(found, as_json)
        return
    console.table(
        ["RELEASE", "ENVIRONMENT", "", "COMMIT", "SUBJECT", "CREATED"],
        [
            [
                r["name"],
                r["environment"],
                _mark(r),
                r["commit"][:10],
                r["subject"],
                r["created_at"][:19],
            ]
            for r in found
        ],
    )


def _mark(release: Mapping[str, Any]) -> str:
    """What is special about it: what keeps everybody from going back to it, most of all."""
    if release["is_current"]:
        return "current"
    return "image pruned" if release["pruned_at"] else "barred" if release["barred"] else ""


@app.command()
@console.exits
async def rollback(
    app: App,
    release: Annotated[str, typer.Argument(help="Where to: v3. Left out: the release before the present one.")] = "",
    environment: Environment = "dev",
    as_json: console.Json = False,
) -> None:
    """Go back to an earlier release, its image and its config."""
    async with session.connected() as api:
        body = {"release": number(release)} if release else {}
        started = await api.post(f"/apps/{app}/environments/{environment}/rollback", body)
        await progress.deployment(api, started["id"], quiet=as_json)
        place = await api.get(f"/apps/{app}/environments/{environment}")
    if as_json:
        console.emit(place, as_json)
    else:
        console.say(f"{app} runs {place['release']} in {environment}: {' '.join(place['urls'][:1])}", style="green")


@app.command()
@console.exits
async def restart(app: App, environment: Environment = "dev", as_json: console.Json = False) -> None:
    """Release the same image again, with the newest config and secrets. Nothing is interrupted."""
    async with session.connected() as api:
        started = await api.post(f"/apps/{app}/environments/{environment}/restart")
        await progress.deployment(api, started["id"], quiet=as_json)
        place = await api.get(f"/apps/{app}/environments/{environment}")
    console.emit(place if as_json else f"{app} runs {place['release']} in {environment}.", as_json)


@app.command()
@console.exits
async def scale(
    app: App,
    replicas: Annotated[int, typer.Argument(help="How many instances should run.")],
    environment: Environment = "dev",
    as_json: console.Json = False,
) -> None:
    """Change how many instances run, and wait until they do."""
    async with session.connected() as api:
        place = await api.put(f"/apps/{app}/environments/{environment}/scale", {"replicas": replicas})
        await _settled(api, app, environment, replicas)
    if as_json:
        console.emit(place, as_json)
    else:
        console.say(f"{app} runs {replicas} instances in {environment}.", style="green")


@app.command()
@console.exits
async def remove(
    app: App,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: console.Json = False,
) -> None:
    """End an app everywhere and forget it. Its volumes stay."""
    if not yes and not typer.confirm(f"End {app} in every environment and forget its releases?"):
        raise errors.Refused("Nothing was changed.")
    async with session.connected() as api:
        await api.delete(f"/apps/{app}")
    console.emit({"removed": app} if as_json else f"{app} is removed.", as_json)


def number(release: str) -> int:
    """`v3` as 3. Raises: Invalid."""
    text = release.removeprefix("v")
    if not text.isdecimal():
        raise errors.Invalid(
            f"{release!r} is not a release.", hint="Releases are called v1, v2, …: `pier releases APP`."
        )
    return int(text)


def _healthy(environment: dict[str, Any], instances: list[dict[str, Any]]) -> str:
    mine = [
        i
        for i in _containers(instances)
        if (i["app"], i["environment"]) == (environment["app"], environment["environment"])
    ]
    healthy = sum(i["state"] == "healthy" for i in mine)
    return f"{healthy}/{environment['replicas']} healthy{_moving(environment['moving'])}"


def _moving(deployment: dict[str, Any] | None) -> str:
    """`, deploy waiting: no node has 2 GiB free …`"""
    if deployment is None:
        return ""
    reason = f": {deployment['reason']}" if deployment["reason"] else ""
    return f", {deployment['kind']} {deployment['state']}{reason}"


def _containers(instances: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without programs on machines: nobody scales those."""
    return [instance for instance in instances if not is_host(instance["id"])]


async def _settled(api: Api, app: str, environment: str, replicas: int) -> None:
    """Raises: Failed when the instances are not there in time."""
    reached: list[Any] = []
    try:
        async with asyncio.timeout(_SETTLE_SECONDS):
            while True:
                instances = _containers(await api.get("/instances", app=app, environment=environment))
                reached = [i for i in instances if i["state"] == "healthy"]
                if len(reached) == len(instances) == replicas:
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise errors.Failed(
            f"{len(reached)} of {replicas} instances are healthy after {_SETTLE_SECONDS} s.",
            hint=f"They are still being started: `pier ps {app}` shows why each waits, `pier logs {app}` what it says.",
        ) from None
