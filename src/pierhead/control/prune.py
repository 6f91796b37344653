"""Images that nobody can go back to: told, and removed from the registry and from this machine's engine.

Never what a retained release or a recent build has, and never an image that is not Pierhead's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pierhead.control import registry
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model import prune
from pierhead.model.prune import CACHE, Kept, Plan
from pierhead.store import apps, builds, releases
from pierhead.store.session import Connection
from pierhead.wire.docker import images as engine_images
from pierhead.wire.oci import distribution
from pierhead.wire.oci.client import Registry

_PATIENCE = timedelta(seconds=45)
_LOOK = timedelta(milliseconds=200)
_BASES = "base/"
_LOG = "registry-garbage.log"
_BUILDS = 100
"""The last builds of an app that are looked at."""


@dataclass(frozen=True, slots=True)
class Done:
    removed: Sequence[str]
    size: int
    """Bytes of the registry that are free again."""
    from_engine: int
    """Images that this machine's engine had, and has no more."""


async def plan(ctx: Context) -> Plan:
    """What could be removed, and why. Raises: Unavailable."""
    there = await _there(ctx)
    async with ctx.store.read() as db:
        return await _plan(ctx, db, there)


async def run(ctx: Context) -> Done:
    """What `plan` tells is gone. No build begins meanwhile. Raises: Conflict (builds do not end), Unavailable."""
    async with ctx.registry_quiet:
        await _no_builds(ctx)
        wanted = await _begun(ctx)
        async with Registry(registry.access(ctx.settings)) as connected:
            for removal in wanted.removals:
                await connected.delete_manifest(removal.image.repository, removal.image.digest)
        if wanted.removals and not ctx.settings.registry.address:
            async with ctx.registry_window():
                await distribution.collect_garbage(ctx.settings.registry_config, ctx.settings.home / "log" / _LOG)
        gone = await _from_engine(ctx, wanted)
    ctx.build_wanted.set()
    return Done([str(removal) for removal in wanted.removals], wanted.size, gone)


async def _begun(ctx: Context) -> Plan:
    """What is removed now. Its releases are marked before: from then on nobody goes back to them."""
    there = await _there(ctx)
    async with ctx.store.write() as db:
        wanted = await _plan(ctx, db, there)
        for app in {one.image.repository for one in wanted.removals} - {CACHE}:
            gone = [one.image.digest for one in wanted.removals if one.image.repository == app]
            await releases.pruned(db, app, gone)
    return wanted


async def _there(ctx: Context) -> Sequence[Kept]:
    """Every image of the apps, of the cache and of bases that the registry has, whether it has a tag or not."""
    async with ctx.store.read() as db:
        known = {app.name: await _made(db, app.name) for app in await apps.listing(db)}
    async with Registry(registry.access(ctx.settings)) as connected:
        bases = [name for name in await connected.repositories() if name.startswith(_BASES)]
        wanted = {**known, CACHE: set[str](), **{name: set[str]() for name in bases}}
        return [image for name, digests in wanted.items() for image in await _images(connected, name, digests)]


async def _made(db: Connection, app: str) -> set[str]:
    """Digests of the app's images that were never removed, as far as that is remembered."""
    found = [one.image for one in await releases.listing(db, app) if not one.pruned_at]
    found += [one.image for one in await builds.listing(db, app, _BUILDS) if one.image]
    return {image.rpartition("@")[2] for image in found}


async def _plan(ctx: Context, db: Connection, there: Sequence[Kept]) -> Plan:
    known = [app.name for app in await apps.listing(db)]
    return prune.plan(there, {app: await _needed(ctx, db, app) for app in known}, known)


async def _needed(ctx: Context, db: Connection, app: str) -> set[str]:
    """Digests that somebody may still want: of retained releases, of those that live or come, of the last builds."""
    count = ctx.settings.retain_releases
    by_environment: dict[str, list[str]] = {}
    for release in await releases.listing(db, app):
        by_environment.setdefault(release.environment, []).append(release.image)
    found = {image for listed in by_environment.values() for image in listed[:count]}
    found |= {release.image for release in await releases.live(db) if release.app == app}
    made = [build.image for build in await builds.listing(db, app, _BUILDS) if build.image]
    return {image.rpartition("@")[2] for image in (*found, *made[:count])}


async def _images(connected: Registry, repository: str, digests: Iterable[str]) -> list[Kept]:
    """Those with a tag, and those of these digests that have lost theirs to a newer image of the same commit."""
    tags: dict[str, list[str]] = {}
    blobs: dict[str, Mapping[str, int]] = {}
    for reference in [*await connected.tags(repository), *sorted(digests)]:
        if reference in blobs:
            continue
        if manifest := await connected.manifest(repository, reference):
            found = tags.setdefault(manifest.digest, [])
            found += [] if reference == manifest.digest else [reference]
            parts = [*manifest.value["layers"], manifest.value["config"]]
            blobs[manifest.digest] = {part["digest"]: int(part["size"]) for part in parts}
    return [Kept(repository, digest, found, blobs[digest]) for digest, found in tags.items()]


async def _no_builds(ctx: Context) -> None:
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            while True:
                async with ctx.store.read() as db:
                    if not await builds.running(db):
                        return
                await asyncio.sleep(_LOOK.total_seconds())
    except TimeoutError:
        raise errors.Conflict(
            f"Builds have been running for {_PATIENCE.total_seconds():g} s: nothing was removed.",
            hint="`pier builds` lists them; `pier builds cancel NUMBER` ends one.",
        ) from None


async def _from_engine(ctx: Context, wanted: Plan) -> int:
    """How many images this machine's engine had of those that are gone. One that a container uses stays there."""
    gone = {f"{ctx.settings.registry_address}/{one.image.repository}@{one.image.digest}" for one in wanted.removals}
    count = 0
    for value in await engine_images.listing(ctx.engine):
        for name in gone.intersection(value.get("RepoDigests") or ()):
            with contextlib.suppress(errors.Conflict, errors.NotFound):
                await engine_images.remove(ctx.engine, name)
                count += 1
    return count
