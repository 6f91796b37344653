"""The code layer: the commit's files as they are, or what the owner's build command makes of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from pierhead.build import base, cache, compression, kitchen, layer, source
from pierhead.build.ingredients import FOLDER, Work
from pierhead.build.kitchen import Kitchen, Script
from pierhead.build.layer import Layer, Packed
from pierhead.build.source import Tree

STEP = "build"
_PREFIX = FOLDER.lstrip("/")
_LEFT_OUT = ("node_modules",)
"""What a build leaves beside the code and is in the dependency layer, if anywhere."""
_VENV_PATH = "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def packed(place: Kitchen, repository: Path, tree: Tree) -> Packed:
    """The commit's files as a layer in the kitchen's folder."""
    return await layer.written(place.folder / "code.layer", source.tar(repository, tree, _PREFIX), place.compression)


async def context(place: Kitchen, repository: Path, tree: Tree) -> Path:
    """The commit's files as a compressed tar for a builder."""
    return (await layer.written(place.folder / "context.tar.gz", source.tar(repository, tree, "."))).path


async def worked(
    place: Kitchen, work: Work, repository: Path, tree: Tree, dependencies: Layer | None
) -> tuple[Layer, bool]:
    """What the command makes of the commit, in the registry's cache; and whether it was there before.

    Raises: Failed, Unavailable.
    """
    builder = await base.obtain(place, work.builder)
    below = dependencies if work.on_dependencies else None
    parts = (tree.commit.id, work.script, work.output, builder.digest, below.digest if below else "")
    key = place.named(hashlib.sha256("\0".join(parts).encode()).hexdigest())
    if found := await cache.find(place.registry, key):
        await place.log(STEP, f"this commit was built before ({key[:10]})")
        return found, True
    inputs = [await _fetched(place, below)] if below else []
    inputs.append(source.tar(repository, tree, _PREFIX))
    result = f"{FOLDER}/{work.output}".rstrip("/")
    env = {"PATH": _VENV_PATH}
    hint = f"`{work.script.splitlines()[-1]}` is what pier.yaml says under build.command."
    script = Script(STEP, work.script, builder.reference, FOLDER, result, inputs, env, hint)
    raw = await kitchen.run(place, script)
    seconds = int(tree.commit.committed_at.timestamp())
    target = place.folder / f"{key}.layer"
    made = await asyncio.to_thread(layer.normalised, raw, target, _renaming(result), seconds, place.compression)
    await cache.keep(place.registry, key, made)
    return made.layer, False


async def _fetched(place: Kitchen, one: Layer) -> Path | AsyncIterator[bytes]:
    """A layer of the cache as the engine unpacks it; no engine needs to read more than gzip for that."""
    path = place.folder / "dependencies.layer"
    await place.registry.fetch_blob(cache.REPOSITORY, one.digest, path)
    return compression.unpacked(path) if one.compression == compression.ZSTD else path


def _renaming(result: str) -> Callable[[str], str | None]:
    """The engine packs a folder under its own last name: back to where it was; without what is left out."""
    parent = result.strip("/").rpartition("/")[0]

    def rename(name: str) -> str | None:
        path = f"{parent}/{name}" if parent else name
        inside = path.removeprefix(f"{_PREFIX}/").split("/")[0]
        return None if inside in _LEFT_OUT else path

    return rename
