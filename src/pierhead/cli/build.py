"""`pier build`: an image without a release; or only what would be done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pierhead import appfile
from pierhead.build import image
from pierhead.build.ingredients import Recipe
from pierhead.cli import console, deploy, progress, session
from pierhead.cli.apps import Environment
from pierhead.kit import errors
from pierhead.model.app import BuildSpec
from pierhead.wire.git import repository

app = typer.Typer()


@app.command()
@console.exits
async def build(
    source: Annotated[str, typer.Argument(help="A folder with a git repository, or a git URL.")] = ".",
    ref: Annotated[str, typer.Option("--ref", help="Branch, tag or commit.")] = "HEAD",
    environment: Environment = "dev",
    name: Annotated[str, typer.Option("--app", help="The app's name, for a URL; otherwise pier.yaml says it.")] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Only print what is recognised, and why.")] = False,
    as_json: console.Json = False,
) -> None:
    """Build a commit and release it nowhere. With --explain nothing is built, and no server is needed."""
    if explain:
        found = await _explained(source, ref, environment)
        value = {"kind": found.kind, "reasons": list(found.reasons), "steps": found.explain()}
        console.emit(value if as_json else "\n".join(found.explain()), as_json)
        return
    async with session.connected() as api:
        located = await deploy.located(api, source, ref, name, environment)
        queued = await deploy.request(api, located, "")
        ended = await progress.build(api, queued["id"], quiet=as_json)
    console.emit(ended if as_json else ended["image"], as_json)


async def _explained(source: str, ref: str, environment: str) -> Recipe:
    """Raises: Invalid (nothing is recognised, or pier.yaml is wrong)."""
    if deploy.is_url(source):
        raise errors.Invalid("--explain looks at a folder.", hint="Clone the repository, and name its folder.")
    folder = Path(source)
    commit = await repository.describe(folder, await repository.resolve(folder, ref))
    text = await repository.show(folder, commit.id, deploy.APP_FILE)
    spec = appfile.read(text, deploy.APP_FILE).spec(environment).build if text else BuildSpec()
    return await image.explain(folder, commit, spec)
