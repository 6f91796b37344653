"""Releases: made from builds, brought to their environments, taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pierhead import appfile
from pierhead.control import proposals, registry
from pierhead.control.context import Context
from pierhead.control.proposals import Proposal
from pierhead.kit import errors
from pierhead.model.app import Spec
from pierhead.model.build import Build, BuildState
from pierhead.model.release import Release
from pierhead.store import apps, builds, deployments, journal, releases
from pierhead.store.deployments import Deployment, Move
from pierhead.store.journal import Subject
from pierhead.store.session import Connection


@dataclass(frozen=True, slots=True)
class Listed:
    """A release, and what it is to its environment."""

    release: Release
    is_current: bool


async def propose(ctx: Context, build: Build, spec: Spec, image: releases.Image) -> Deployment | None:
    """The build has succeeded, and what it made is on its way to the build's environment.

    None when it names no environment, or when it was cancelled meanwhile. One transaction: a server that dies here
    leaves a build that is done again, or a complete deployment.
    Raises: as `proposals.submit`.
    """
    async with ctx.store.write() as db:
        proposal = Proposal(build.environment, spec, image, author=build.author)
        deployment = await proposals.submit(ctx, db, proposal) if build.environment else None
        ended = await builds.finish(
            db,
            build.id,
            BuildState.SUCCEEDED,
            image=image.reference,
            deployment_id=deployment.id if deployment else None,
        )
        if not ended:
            await db.rollback()
            return None
        await releases.kept(db, build.app, image.reference)
        await journal.add(db, Subject.BUILD, build.id, "built", image.reference)
    ctx.build_wanted.set()
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return deployment


async def find(ctx: Context, release_id: int) -> Release:
    """Raises: NotFound."""
    async with ctx.store.read() as db:
        release = await releases.find(db, release_id)
    if release is None:
        raise errors.NotFound(f"There is no release with the id {release_id}.")
    return release


async def numbered(ctx: Context, app: str, environment: str, number: int) -> Release | None:
    async with ctx.store.read() as db:
        return await releases.numbered(db, app, environment, number)


async def listing(ctx: Context, app: str, environment: str = "") -> Sequence[Listed]:
    """The newest first. Raises: NotFound (no such app)."""
    async with ctx.store.read() as db:
        await _existing(db, app)
        current = {environment.release_id for environment in await apps.environments(db, app)}
        rows = await releases.listing(db, app, environment)
    return [Listed(release, release.id in current) for release in rows]


async def rollback(ctx: Context, app: str, environment: str, number: int | None, author: str = "") -> Deployment:
    """The environment is on its way to release `number`; None: to the one it had before the present one.

    Raises: NotFound, Conflict (there is nothing to go back to, or its image is gone).
    """
    async with ctx.store.read() as db:
        _, release = await _target(ctx, db, app, environment, number)
    await registry.require_image(ctx, release)
    async with ctx.store.write() as db:
        place, release = await _target(ctx, db, app, environment, number)
        move = Move("rollback", place.release_id, release.id, author)
        deployment = await deployments.add(db, app, environment, move)
        await journal.add(db, Subject.DEPLOYMENT, deployment.id, "rollback", f"To {release.name}: {release.subject}")
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return deployment


async def bar(ctx: Context, app: str, environment: str, number: int, reason: str) -> Release:
    """Nobody may go back to it or promote it, for that reason. What runs, runs on. Raises: NotFound, Invalid (none)."""
    if not reason.strip():
        raise errors.Invalid("Say why nobody may go to it again.", hint="Whoever wants to go to it is told `--reason`.")
    return await _barred(ctx, app, environment, number, reason.strip())


async def unbar(ctx: Context, app: str, environment: str, number: int) -> Release:
    """Everybody may go to it again. Raises: NotFound."""
    return await _barred(ctx, app, environment, number, "")


async def _barred(ctx: Context, app: str, environment: str, number: int, reason: str) -> Release:
    async with ctx.store.write() as db:
        await _existing(db, app)
        release = await _numbered(db, app, environment, number)
        await releases.bar(db, release.id, reason)
    return await find(ctx, release.id)


def refuse_barred(release: Release) -> None:
    """Raises: Conflict."""
    if release.barred:
        raise errors.Conflict(
            f"{release.app} {release.name} in {release.environment} is barred: {release.barred}",
            hint=f"`pier release unbar {release.app} {release.name}` lifts that.",
        )


def spec_in(release: Release, environment: str) -> Spec:
    """What the release's `pier.yaml` says for an environment. Raises: Conflict (it was not kept), Invalid."""
    if not release.file and environment == release.environment:
        return release.spec
    if not release.file:
        raise errors.Conflict(
            f"The pier.yaml of {release.app} {release.name} was not kept.", hint="`pier deploy` makes a new release."
        )
    return appfile.read(release.file.encode()).spec(environment)


async def again(ctx: Context, db: Connection, environment: apps.Environment, kind: str, author: str) -> Deployment:
    """The image that the environment runs, or is on its way to, becomes a new release with the config of now.

    Raises: Conflict (there is none), and as `proposals.submit`.
    """
    moving = await deployments.current(db, environment.app, environment.name)
    release = await releases.find(db, moving.to_release_id if moving else environment.release_id)
    if release is None:
        raise errors.Conflict(
            f"{environment.app} has no release in {environment.name}.",
            hint=f"`pier deploy --environment {environment.name}` makes one.",
        )
    spec = spec_in(release, environment.name)
    image = releases.Image(release.image, release.commit, release.subject, release.file, release.image_config)
    return await proposals.submit(ctx, db, Proposal(environment.name, spec, image, kind, author))


async def restart(ctx: Context, app: str, environment: str, author: str) -> Deployment:
    """A release of the same image with the newest config and secrets is on its way. Raises: NotFound, Conflict."""
    async with ctx.store.write() as db:
        await _existing(db, app)
        place = await apps.environment(db, app, environment)
        if place is None:
            raise errors.NotFound(f"{app} is not in {environment}.", hint=f"`pier ps {app}` shows where it is.")
        deployment = await again(ctx, db, place, "restart", author)
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return deployment


async def _existing(db: Connection, app: str) -> None:
    if await apps.find(db, app) is None:
        raise errors.NotFound(f"There is no app {app!r}.", hint="`pier ps` lists the apps.")


async def _numbered(db: Connection, app: str, environment: str, number: int) -> Release:
    release = await releases.numbered(db, app, environment, number)
    if release is None:
        raise errors.NotFound(
            f"{app} has no release v{number} in {environment}.",
            hint=f"`pier releases {app} --environment {environment}` lists them.",
        )
    return release


async def _target(
    ctx: Context, db: Connection, app: str, environment: str, number: int | None
) -> tuple[apps.Environment, Release]:
    """The environment, and the release that it goes back to. Raises: NotFound, Conflict."""
    await _existing(db, app)
    place = await apps.environment(db, app, environment)
    if place is None or place.release_id is None:
        raise errors.Conflict(
            f"{app} has no release in {environment}.", hint=f"`pier deploy --environment {environment}` makes one."
        )
    release = await _earlier(db, place) if number is None else await _numbered(db, app, environment, number)
    refuse_barred(release)
    registry.refuse_pruned(ctx, release)
    return place, release


async def _earlier(db: Connection, place: apps.Environment) -> Release:
    """The release that ran before the present one came."""
    for deployment in await deployments.listing(db, place.app, place.name):
        came = deployment.state.value == "succeeded" and deployment.to_release_id == place.release_id
        found = await releases.find(db, deployment.from_release_id) if came else None
        if found and not found.barred and not found.pruned_at:
            return found
    raise errors.Conflict(
        f"{place.app} has no earlier release in {place.name} to go back to.",
        hint=f"`pier releases {place.app}` lists what there is; `pier rollback {place.app} v1` goes to one of them.",
    )
