"""The app file: `init` writes a first one, `validate` tells every mistake in one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from pierhead import appfile
from pierhead.appfile import init as drafts
from pierhead.appfile import published
from pierhead.cli import console
from pierhead.kit import errors
from pierhead.settings import Settings

app = typer.Typer()

NAME = "pier.yaml"
SCHEMA_PATH = "/v1/pier.schema.json"
_SKIPPED = frozenset(["node_modules", "__pycache__", "venv", "target", "tests"])
_DEEPEST = 3
_LARGEST_BYTES = 1 << 18


@app.command()
@console.exits
def init(
    folder: Annotated[Path, typer.Argument(help="The repository.")] = Path(),
    show: Annotated[bool, typer.Option("--print", help="Print it instead of writing it.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
) -> None:
    """Write a first pier.yaml by looking at a repository."""
    if not folder.is_dir():
        raise errors.NotFound(f"{folder} is no folder.")
    draft = drafts.init(_files(folder), folder.resolve().name, Settings().api_url + SCHEMA_PATH)
    for reason in draft.reasons:
        console.note(f"- {reason}")
    if show:
        console.say(draft.text.rstrip())
        return
    _write(folder / NAME, draft.text, force=force)
    console.say(f"{folder / NAME} is written. `pier validate` checks it, `pier deploy` deploys the last commit.")


@app.command()
@console.exits
def validate(
    path: Annotated[Path, typer.Argument(help="The file, or the folder that holds it.")] = Path(),
    environment: Annotated[str, typer.Option("--environment", "-e", help="Show what holds in this environment.")] = "",
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema for editors instead.")] = False,
    as_json: console.Json = False,
) -> None:
    """Tell every mistake in a pier.yaml, or that there is none."""
    if schema:
        console.say(published.json_text().rstrip())
        return
    file = path / NAME if path.is_dir() else path
    found = appfile.read(_read(file), str(file))
    names = [environment] if environment else ["dev", *(name for name in found.environments() if name != "dev")]
    specs = {name: found.spec(name) for name in names}
    if as_json or environment:
        console.emit({"app": found.app, "environments": specs}, as_json=True)
        return
    console.say(f"{file} is valid: {found.app}, checked for {', '.join(names)}.")


def _write(file: Path, text: str, *, force: bool) -> None:
    try:
        with file.open("w" if force else "x") as opened:
            opened.write(text)
    except FileExistsError:
        raise errors.Conflict(f"{file} exists.", hint="`--force` replaces it, `--print` shows a new one.") from None
    except OSError as error:
        raise errors.Invalid(f"{file} cannot be written: {error.strerror}.") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise errors.NotFound(f"There is no {file}.", hint="`pier init` writes one.") from None
    except OSError as error:
        raise errors.Invalid(f"{file} cannot be read: {error.strerror}.") from error


def _files(folder: Path) -> Mapping[str, str]:
    found = {}
    for path in drafts.folder_names(list(_names(folder))):
        is_read = path in drafts.READ and (folder / path).stat().st_size <= _LARGEST_BYTES
        found[path] = (folder / path).read_text(errors="replace") if is_read else ""
    return found


def _names(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        inside = Path(place).relative_to(folder)
        folders[:] = [name for name in sorted(folders) if name not in _SKIPPED and not name.startswith(".")]
        if len(inside.parts) >= _DEEPEST:
            folders.clear()
        yield from ((inside / name).as_posix() for name in sorted(files))
