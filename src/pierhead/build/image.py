"""A commit becomes an image in the registry: base layers, a dependency layer, a code layer; or what a Dockerfile says.

The fast path needs no engine for a commit whose dependencies are known: three kinds of layers and a manifest are
pushed, and only the code layer is new. The same commit gives the same digest, wherever and whenever it is built.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from pierhead.build import base, dependencies, dockerfile, layer, recipe, source
from pierhead.build.base import Base, Log
from pierhead.build.dependencies import Kitchen, Limits
from pierhead.build.layer import Config, Layer
from pierhead.build.recipe import Files, Recipe
from pierhead.build.source import Commit, Tree
from pierhead.kit import clock, errors
from pierhead.model.app import BuildSpec
from pierhead.wire.docker import images
from pierhead.wire.docker.client import Engine
from pierhead.wire.oci.client import Registry

__all__ = ["Image", "Limits", "Request", "build_and_push"]

_CODE = "app"


@dataclass(frozen=True, slots=True)
class Request:
    app: str
    commit: Commit
    repository: Path
    """The bare repository that has the commit."""
    spec: BuildSpec
    registry: str
    """`host:port`"""
    engine: Engine
    limits: Limits


@dataclass(frozen=True, slots=True)
class Image:
    reference: str
    """`host:port/<app>@sha256:…`"""
    size: int
    """Bytes of its layers, compressed."""


async def build_and_push(request: Request, log: Log) -> Image:
    """The registry has the image of the commit.

    Raises: Invalid (the commit cannot be built as it is), Failed (what it runs failed), Unavailable.
    """
    tree = await source.tree(request.repository, request.commit)
    files = await _files(request, tree)
    chosen = recipe.choose(files, request.spec)
    await log("recipe", str(chosen))
    async with Registry(request.registry) as registry:
        kitchen = Kitchen(request.engine, registry, request.limits, log)
        if chosen.kind == "dockerfile":
            context = await source.layer(request.repository, tree, ".")
            how = dockerfile.How(request.app, request.commit.id, request.spec, _labels(request))
            reference, size = await dockerfile.build_and_push(kitchen, how, context)
            return Image(reference, size)
        return await _assemble(kitchen, request, chosen, files, tree)


async def _assemble(kitchen: Kitchen, request: Request, chosen: Recipe, files: Files, tree: Tree) -> Image:
    registry, log = kitchen.registry, kitchen.log
    below = await _base(kitchen, chosen.base)
    layers = list(below.layers)
    for one in below.layers:
        await _share(registry, request.app, one, below.name)
    if chosen.dependencies:
        made = await dependencies.ensure(kitchen, chosen.dependencies, files)
        await _share(registry, request.app, made, dependencies.REPOSITORY)
        layers.append(made)
    code, data = await asyncio.to_thread(layer.pack, await source.layer(request.repository, tree, _CODE))
    layers.append(code)
    await log("push", f"{len(data) / 1e6:.1f} MB of code")
    await registry.put_blob(request.app, data)
    how = Config(chosen.command, chosen.env, f"/{_CODE}", _labels(request))
    config = layer.config(how, layers, request.commit.committed_at, below.config)
    await registry.put_blob(request.app, config)
    digest = await registry.put_manifest(request.app, request.commit.id, layer.manifest(config, layers))
    return Image(f"{registry.address}/{request.app}@{digest}", sum(one.size for one in layers))


async def _base(kitchen: Kitchen, name: str) -> Base:
    """One of Pierhead's own by its name; any other image is brought into the registry by the engine, once."""
    if name in base.NAMES:
        return await base.ensure(name, kitchen.registry, kitchen.log)
    own = f"{kitchen.registry.address}/"
    repository, tag = _split(name.removeprefix(own))
    if name.startswith(own):
        found = await base.find(kitchen.registry, repository, tag)
        if found is None:
            raise errors.NotFound(f"The registry has no image {name}.", hint="`pier base build` makes base images.")
        return found
    kept = f"base/external/{repository}"
    if found := await base.find(kitchen.registry, kept, tag):
        return found
    await kitchen.log("base", f"{name}: brought into the registry once")
    async for _ in images.pull(kitchen.engine, name if ":" in name.rsplit("/", 1)[-1] else f"{name}:{tag}"):
        pass
    await images.tag(kitchen.engine, name, f"{own}{kept}", tag)
    async for _ in images.push(kitchen.engine, f"{own}{kept}", tag):
        pass
    found = await base.find(kitchen.registry, kept, tag)
    if found is None:
        raise errors.Broken(f"The registry does not have {kept}:{tag}, which was just pushed.")
    return found


async def _share(registry: Registry, app: str, one: Layer, owner: str) -> None:
    """The app's repository has the layer too, without sending it again."""
    if not await registry.mount_blob(app, one.digest, owner):
        await registry.put_blob(app, await registry.blob(owner, one.digest))


async def _files(request: Request, tree: Tree) -> Files:
    names = tree.names
    contents = {}
    for name in recipe.READ:
        if name in names:
            contents[name] = await source.read(request.repository, request.commit.id, name) or b""
    return Files(names, contents)


def _labels(request: Request) -> dict[str, str]:
    return {
        "org.opencontainers.image.revision": request.commit.id,
        "org.opencontainers.image.version": request.commit.id[:10],
        "org.opencontainers.image.title": request.app,
        "org.opencontainers.image.created": clock.text(request.commit.committed_at),
    }


def _split(name: str) -> tuple[str, str]:
    """`python:3.12` → `python`, `3.12`; without a tag `latest`."""
    head, _, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return (f"{head}/{repository}" if head else repository), tag or "latest"
