"""A commit becomes an image in the registry: base layers, a dependency layer, a code layer; or what a Dockerfile says.

The fast path needs no engine for a commit whose dependencies are known: three kinds of layers and a manifest are
pushed, and only the code layer is new. The same commit gives the same digest, wherever and whenever it is built.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pierhead.build import base, cache, code, dependencies, dockerfile, layer, recipe, source, trial
from pierhead.build.base import Base
from pierhead.build.compression import GZIP
from pierhead.build.ingredients import FOLDER, Files, Recipe
from pierhead.build.kitchen import Kitchen, Limits, Log
from pierhead.build.layer import Config, Layer
from pierhead.build.source import Commit, Tree
from pierhead.build.trial import Outcome
from pierhead.kit import clock
from pierhead.model.app import BuildSpec
from pierhead.wire.docker.client import Engine
from pierhead.wire.oci.access import Access
from pierhead.wire.oci.client import Registry

__all__ = ["Image", "Limits", "Request", "build_and_push", "explain", "tried"]


@dataclass(frozen=True, slots=True)
class Request:
    app: str
    commit: Commit
    repository: Path
    """The bare repository that has the commit."""
    spec: BuildSpec
    registry: Access
    engine: Engine
    limits: Limits
    source: str = ""
    """Where the commit is from: a git URL, or what no one else can reach."""
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """What `spec.secrets` names."""
    owner: str = ""
    """Who builds: on every container, so that what a server that died left behind is found."""
    compression: str = GZIP
    """Of the layers that are made."""


@dataclass(frozen=True, slots=True)
class Image:
    reference: str
    """`host:port/<app>@sha256:…`"""
    size: int
    """Bytes of its layers, compressed."""
    command: Sequence[str] = ()
    """What a container of it runs; empty: the Dockerfile says, or nobody does."""
    pushed: int = 0
    """Of `size`, what was new to the registry."""
    reused: Sequence[str] = ()
    """`base`, `dependencies`, `build`, `code`: what was there before."""


async def build_and_push(request: Request, log: Log) -> Image:
    """The registry has the image of the commit.

    Raises: Invalid (the commit cannot be built as it is), Failed (what it runs failed), Unavailable.
    """
    tree = await source.tree(request.repository, request.commit, request.limits.source_bytes)
    chosen = recipe.choose(await _files(request.repository, tree), request.spec)
    for line in chosen.explain():
        await log("recipe", line)
    with tempfile.TemporaryDirectory(prefix="pier-build-") as folder:
        async with Registry(request.registry) as registry:
            place = Kitchen(
                request.engine, registry, request.limits, log, Path(folder), request.owner, request.compression
            )
            if chosen.kind == "dockerfile":
                return await _by_dockerfile(place, request, tree)
            return await _assemble(place, request, chosen, tree)


async def tried(request: Request, made: Image, log: Log) -> Outcome | None:
    """How the owner's tests ended in a container of the image; None without any. Raises: NotFound, Failed, …"""
    if request.spec.test is None:
        return None
    with tempfile.TemporaryDirectory(prefix="pier-test-") as folder:
        async with Registry(request.registry) as registry:
            place = Kitchen(request.engine, registry, request.limits, log, Path(folder), request.owner)
            return await trial.run(place, made.reference, request.spec.test)


async def explain(repository: Path, commit: Commit, spec: BuildSpec) -> Recipe:
    """What would be done, without doing it. Raises: Invalid."""
    tree = await source.tree(repository, commit)
    return recipe.choose(await _files(repository, tree), spec)


async def _by_dockerfile(place: Kitchen, request: Request, tree: Tree) -> Image:
    name = request.spec.dockerfile or "Dockerfile"
    text = await source.read(request.repository, request.commit.id, name) or b""
    for own in dockerfile.own_bases(text.decode(errors="replace")):
        if own in base.NAMES:
            await base.ensure(own, place.registry, place.log)
    context = await code.context(place, request.repository, tree)
    how = dockerfile.How(
        request.app, request.commit.id, request.spec, _labels(request), text.decode(errors="replace"), request.secrets
    )
    return Image(*await dockerfile.build_and_push(place, how, context))


async def _assemble(place: Kitchen, request: Request, chosen: Recipe, tree: Tree) -> Image:
    registry, reused = place.registry, ["base"]
    below = await base.obtain(place, chosen.base)
    for one in below.layers:
        await _share(place, request.app, one, below.name)
    installed: Layer | None = None
    if chosen.dependencies:
        installed, was_there = await dependencies.ensure(place, chosen.dependencies)
        reused += ["dependencies"] if was_there else []
    within = [installed] if installed and chosen.dependencies and chosen.dependencies.is_in_image else []
    for one in within:
        await _share(place, request.app, one, cache.REPOSITORY)
    own, pushed = await _code(place, request, chosen, tree, installed)
    layers = [*below.layers, *within, own]
    config = _config(request, chosen, below, layers)
    await registry.put_blob(request.app, config)
    digest = await registry.put_manifest(request.app, request.commit.id, layer.manifest(config, layers))
    reused += [] if pushed else ["code"]
    await place.log("push", f"{own.size / 1e6:.1f} MB of code{'' if pushed else ', which was there already'}")
    reference = f"{registry.address}/{request.app}@{digest}"
    return Image(reference, sum(one.size for one in layers), chosen.command, pushed, tuple(reused))


async def _code(
    place: Kitchen, request: Request, chosen: Recipe, tree: Tree, installed: Layer | None
) -> tuple[Layer, int]:
    """The code layer, in the app's repository; and how many bytes of it were new there."""
    if chosen.work:
        made, was_there = await code.worked(place, chosen.work, request.repository, tree, installed)
        await _share(place, request.app, made, cache.REPOSITORY)
        return made, 0 if was_there else made.size
    packed = await code.packed(place, request.repository, tree)
    is_new = await place.registry.put_file(request.app, packed.layer.digest, packed.path)
    return packed.layer, packed.layer.size if is_new else 0


def _config(request: Request, chosen: Recipe, below: Base, layers: Sequence[Layer]) -> bytes:
    labels = {**_labels(request), "org.opencontainers.image.base.digest": below.digest}
    how = Config(command=chosen.command, env=chosen.env, folder=FOLDER, labels=labels)
    return layer.config(how, layers, request.commit.committed_at, below.config)


async def _share(place: Kitchen, app: str, one: Layer, owner: str) -> None:
    """The app's repository has the layer too; without sending it again, where the registry can do that."""
    if await place.registry.mount_blob(app, one.digest, owner):
        return
    path = place.folder / one.digest.replace(":", "-")
    await place.registry.fetch_blob(owner, one.digest, path)
    await place.registry.put_file(app, one.digest, path)


async def _files(repository: Path, tree: Tree) -> Files:
    contents = await source.read_all(repository, tree, recipe.READ)
    return Files(frozenset(tree.names), contents, frozenset(tree.executable))


def _labels(request: Request) -> dict[str, str]:
    """Of the commit alone, and of the repository that it is from: never of the machine or the time of the build."""
    origin = source.origin(request.source)
    return {
        **({"org.opencontainers.image.source": origin} if origin else {}),
        "org.opencontainers.image.revision": request.commit.id,
        "org.opencontainers.image.version": request.commit.id[:10],
        "org.opencontainers.image.title": request.app,
        "org.opencontainers.image.created": clock.text(request.commit.committed_at),
    }
