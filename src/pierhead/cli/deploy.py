"""`pier deploy`: from a commit to an app that answers."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pierhead.cli import console, progress, session
from pierhead.cli.apps import Environment
from pierhead.client import Api
from pierhead.kit import errors
from pierhead.wire.git import repository

app = typer.Typer()

APP_FILE = "pier.yaml"


@dataclass(frozen=True, slots=True)
class _Source:
    """What is deployed."""

    app: str
    address: str
    """A git URL; empty: the commit is uploaded from `folder`."""
    folder: Path
    ref: str
    known: Sequence[str] = ()
    """Commits that the server has."""


@app.command()
@console.exits
async def deploy(
    source: Annotated[str, typer.Argument(help="A folder with a git repository, or a git URL.")] = ".",
    ref: Annotated[str, typer.Option("--ref", help="Branch, tag or commit.")] = "HEAD",
    environment: Environment = "dev",
    name: Annotated[str, typer.Option("--app", help="The app's name, for a URL; otherwise pier.yaml says it.")] = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    as_json: console.Json = False,
) -> None:
    """Build a commit, release it, and wait until it answers. On failure what ran before runs on."""
    async with session.connected() as api:
        found = await located(api, source, ref, name, environment)
        build = await request(api, found, environment)
        if detach:
            text = f"Build {build['id']} of {found.app} is queued. `pier builds {build['id']}` follows it."
            console.emit(build if as_json else text, as_json)
            return
        place = await follow(api, build, environment, quiet=as_json)
    if as_json:
        console.emit(place, as_json)
        return
    console.say(f"{found.app} {place['release']} answers in {environment}:", style="green")
    for url in place["urls"]:
        console.say(f"  {url}")


async def located(api: Api, source: str, ref: str, name: str, environment: str) -> _Source:
    """What a person named: a git URL, or a commit of a folder. Raises: Invalid."""
    if is_url(source):
        return _remote(source, ref, name)
    found = await _local(Path(source), ref)
    text = await _file(found)
    told = await api.send("/uploads/preview", text, environment=environment)
    if name and name != told["app"]:
        raise errors.Invalid(f"{APP_FILE} is of the app {told['app']!r}, and --app says {name!r}.")
    return replace(found, app=told["app"], known=told["commits"])


async def follow(api: Api, build: dict[str, Any], environment: str, *, quiet: bool) -> dict[str, Any]:
    """Shows the build and its deployment to their end; returns where the app is then. Raises: Failed."""
    ended = await progress.build(api, build["id"], quiet=quiet)
    await progress.deployment(api, ended["deployment"], quiet=quiet)
    place: dict[str, Any] = await api.get(f"/apps/{build['app']}/environments/{environment}")
    return place


async def request(api: Api, found: _Source, environment: str) -> dict[str, Any]:
    """A queued build of it; with an empty environment it is only built."""
    address = found.address or await _upload(api, found)
    body = {"source": address, "ref": found.ref, "environment": environment}
    build: dict[str, Any] = await api.post(f"/apps/{found.app}/builds", body)
    return build


async def _upload(api: Api, found: _Source) -> str:
    with tempfile.TemporaryDirectory(prefix="pier-") as folder:
        bundle = Path(folder) / "commit.bundle"
        await repository.bundle(found.folder, found.ref, bundle, found.known)
        return str((await api.upload(f"/apps/{found.app}/uploads", bundle))["source"])


async def _local(folder: Path, ref: str) -> _Source:
    """The commit of a folder."""
    if not folder.is_dir():
        raise errors.Invalid(f"{folder} is not a folder.", hint="Name a folder with a git repository, or a git URL.")
    commit = await repository.resolve(folder, ref)
    if ref == "HEAD" and await repository.is_dirty(folder):
        console.note(f"{folder} has changes that are not committed; commit {commit[:10]} is deployed.", style="yellow")
    return _Source("", "", folder, commit)


async def _file(found: _Source) -> bytes:
    """Its pier.yaml. The server reads it before anything else is sent, so that mistakes are told at once."""
    text = await repository.show(found.folder, found.ref, APP_FILE)
    if text is None:
        raise errors.Invalid(
            f"Commit {found.ref[:10]} has no {APP_FILE}.",
            hint=f"`pier init {found.folder}` writes one; then commit it.",
        )
    return text


def _remote(url: str, ref: str, name: str) -> _Source:
    guessed = url.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1].removesuffix(".git").lower()
    return _Source(name or guessed, url, Path(), ref)


def is_url(source: str) -> bool:
    return "://" in source or (":" in source.split("/")[0] and not Path(source).exists())
