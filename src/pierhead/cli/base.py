"""`pier base`: images to build on, made from the distribution's packages."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from pierhead.build import base
from pierhead.cli import console
from pierhead.control import registry
from pierhead.settings import load
from pierhead.wire.oci.client import Registry

app = typer.Typer(help="Make base images.", no_args_is_help=True)


@app.callback()
def _base() -> None:
    """Make base images."""


@app.command()
@console.exits
async def build(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(sorted(base.NAMES))}, or a name of your own.")],
    include: Annotated[list[str] | None, typer.Option("--include", help="A further Debian package.")] = None,
    suite: Annotated[str, typer.Option("--suite", help="The Debian release.")] = "bookworm",
    as_json: console.Json = False,
) -> None:
    """Make a base image from Debian's packages, in the registry of this machine. Needs root."""
    settings = load.load(None, os.environ, {})

    async def log(step: str, text: str) -> None:
        if not as_json:
            console.note(f"{step:<12} {text}")

    async with Registry(registry.access(settings)) as connected:
        made = await base.build(name, connected, log, include=tuple(include or ()), suite=suite)
    console.emit({"image": made.reference} if as_json else made.reference, as_json)
