"""Releases: made from builds, brought to their environments, taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model import names
from pierhead.model.app import Port, Protocol, Spec
from pierhead.model.build import Build, BuildState
from pierhead.model.release import Release
from pierhead.store import apps, builds, deployments, journal, ports, releases, secrets
from pierhead.store.deployments import Deployment
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
    Raises: Invalid (a secret has no value), Conflict (a service port is taken).
    """
    async with ctx.store.write() as db:
        deployment = await _release(ctx, db, build, spec, image) if build.environment else None
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


async def rollback(ctx: Context, app: str, environment: str, number: int | None) -> Deployment:
    """The environment is on its way to release `number`; None: to the one it had before the present one.

    Raises: NotFound, Conflict (there is nothing to go back to).
    """
    async with ctx.store.write() as db:
        await _existing(db, app)
        place = await apps.environment(db, app, environment)
        if place is None or place.release_id is None:
            raise errors.Conflict(
                f"{app} has no release in {environment}.", hint=f"`pier deploy --environment {environment}` makes one."
            )
        release = await _earlier(db, place) if number is None else await _numbered(db, app, environment, number)
        deployment = await deployments.add(
            db, app, environment, from_id=place.release_id, to_id=release.id, kind="rollback"
        )
        await journal.add(db, Subject.DEPLOYMENT, deployment.id, "rollback", f"To {release.name}: {release.subject}")
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return deployment


async def _release(ctx: Context, db: Connection, build: Build, spec: Spec, image: releases.Image) -> Deployment:
    await apps.ensure(db, build.app, build.environment)
    await _check_names(ctx, db, build, spec)
    place = await apps.environment(db, build.app, build.environment)
    versions = await _versions(db, build, spec)
    routed = [await _with_service_port(db, build, port) for port in spec.ports]
    release = await releases.add(db, build.environment, replace(spec, ports=tuple(routed)), image, versions)
    deployment = await deployments.add(
        db,
        build.app,
        build.environment,
        from_id=place.release_id if place else None,
        to_id=release.id,
        kind="deploy",
    )
    text = f"Release {release.name} of {build.app} for {build.environment}: {image.commit[:10]} {image.subject}"
    await journal.add(db, Subject.DEPLOYMENT, deployment.id, "release", text)
    return deployment


async def _check_names(ctx: Context, db: Connection, build: Build, spec: Spec) -> None:
    """Nobody else has a name or an address of this spec: no request may ever reach the wrong app. Raises: Conflict."""
    mine = names.claimed(spec, build.environment, ctx.settings.domain)
    for release in await releases.live(db):
        if (release.app, release.environment) == (build.app, build.environment):
            continue
        if taken := sorted(mine & names.claimed(release.spec, release.environment, ctx.settings.domain)):
            raise errors.Conflict(
                f"{taken[0]} belongs to {release.app} in {release.environment}.",
                hint="Change ports.<name>.hosts or paths in pier.yaml, or the name of the app.",
            )


async def _versions(db: Connection, build: Build, spec: Spec) -> Mapping[str, int]:
    held = await secrets.newest(db, build.app, build.environment)
    missing = [name for name in spec.secrets if name not in held]
    if missing:
        raise errors.Invalid(
            f"{build.app} needs secrets that {build.environment} does not have.",
            problems=[errors.Problem(f"secrets.{name}", "has no value") for name in missing],
            hint=f"`pier secret set {build.app} {missing[0]} --environment {build.environment}` sets one.",
        )
    return {name: held[name].version for name in spec.secrets}


async def _with_service_port(db: Connection, build: Build, port: Port) -> Port:
    if port.protocol is not Protocol.TCP and port.service_port is None:
        return port
    number = await ports.reserve(db, build.app, build.environment, port.name, port.service_port)
    return replace(port, service_port=number)


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


async def _earlier(db: Connection, place: apps.Environment) -> Release:
    """The release that ran before the present one came."""
    for deployment in await deployments.listing(db, place.app, place.name):
        came = deployment.state.value == "succeeded" and deployment.to_release_id == place.release_id
        if came and deployment.from_release_id and (found := await releases.find(db, deployment.from_release_id)):
            return found
    raise errors.Conflict(
        f"{place.app} has no earlier release in {place.name} to go back to.",
        hint=f"`pier releases {place.app}` lists what there is; `pier rollback {place.app} v1` goes to one of them.",
    )
