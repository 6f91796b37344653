"""What a deployment would change, told before: from the app file of a commit, or from another environment's release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pierhead import appfile
from pierhead.control import environments, proposals, releases
from pierhead.control.context import Context
from pierhead.control.proposals import Proposal
from pierhead.kit import clock, errors
from pierhead.model import difference
from pierhead.model.app import Spec
from pierhead.model.difference import Difference, Side
from pierhead.model.environment import Asked
from pierhead.model.release import Release
from pierhead.store import apps, deployments
from pierhead.store import environments as held
from pierhead.store import releases as stored
from pierhead.store.deployments import Deployment
from pierhead.store.releases import Image
from pierhead.wire.git import repository

Simulate = Callable[[Spec, int, str], Sequence[str]]
"""Spec, instances that run now, name of the release that runs now → the steps of the deployment, as text."""
_NOT_BUILT = "not built yet"


@dataclass(frozen=True, slots=True)
class Preview:
    app: str
    environment: str
    before: str
    """The release that is there now; empty: none."""
    differences: Sequence[Difference]
    commits: Sequence[str]
    """What came in between, the newest first; empty where it is not known."""
    steps: Sequence[str]
    """What would be done, as the deployment's journal would show it. Empty: nothing."""


async def promote(ctx: Context, app: str, source: str, target: str, author: str) -> Deployment:
    """The image that `source` runs is on its way to `target`, by digest, with what `target` has of config and secrets.

    Raises: NotFound, Conflict (nothing to promote; it is barred; nothing would change), Invalid.
    """
    release = await _promoted(ctx, app, source, target)
    async with ctx.store.write() as db:
        proposal = _proposal(release, target, author)
        place = await apps.environment(db, app, target)
        before = await stored.find(db, place.release_id) if place else None
        spec, config = await proposals.complete(ctx, db, proposal)
        side = Side(release.image, release.commit, spec, target, config.variables, config.secrets)
        if before and not _differences(ctx, place, before, side):
            raise errors.Conflict(f"{app} in {target} is what it would be; nothing was changed.")
        deployment = await proposals.submit(ctx, db, proposal)
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return deployment


async def preview(ctx: Context, app: str, source: str, target: str, simulate: Simulate) -> Preview:
    """What `promote` would do. Changes nothing. Raises: as `promote`."""
    release = await _promoted(ctx, app, source, target)
    return await _preview(ctx, _proposal(release, target, ""), simulate)


async def plan(ctx: Context, app: str, environment: str, file: str, commit: str, simulate: Simulate) -> Preview:
    """What deploying a commit with that app file would do. Changes nothing. Raises: Invalid, Conflict."""
    spec = appfile.read(file.encode()).spec(environment)
    if spec.app != app:
        raise errors.Invalid(f"The app file is of the app {spec.app!r}, not of {app!r}.")
    async with ctx.store.read() as db:
        same = [one for one in await stored.listing(db, app) if one.commit == commit]
    image = same[0].image if same else _NOT_BUILT
    return await _preview(ctx, Proposal(environment, spec, Image(image, commit, "", file)), simulate)


async def _preview(ctx: Context, proposal: Proposal, simulate: Simulate) -> Preview:
    app, environment = proposal.app, proposal.environment
    async with ctx.store.write() as db:
        await apps.ensure(db, app, environment)
        place = await apps.environment(db, app, environment)
        moving = await deployments.current(db, app, environment)
        before = await stored.find(db, place.release_id) if place else None
        spec, config = await proposals.complete(ctx, db, proposal)
        blocked = (await held.find(db, environment)).blocked(Asked(), clock.now())
        await db.rollback()
    side = Side(proposal.image.reference, proposal.image.commit, spec, environment, config.variables, config.secrets)
    found = _differences(ctx, place, before, side)
    wanted = place.replicas if place and place.replicas is not None else spec.replicas
    running = (place.replicas if place and place.replicas is not None else before.spec.replicas) if before else 0
    superseded = [f"supersede deployment {moving.id}, which has not ended"] if moving and found else []
    steps = simulate(replace(spec, replicas=wanted), running, before.name if before else "") if found else []
    waits = [f"pause the next release: {blocked}"] if blocked and found else []
    commits = await _commits(ctx, app, before.commit if before else "", proposal.image.commit)
    return Preview(app, environment, before.name if before else "", found, commits, [*superseded, *waits, *steps])


async def _promoted(ctx: Context, app: str, source: str, target: str) -> Release:
    if source == target:
        raise errors.Invalid("Promote from one environment to another one.")
    await releases.listing(ctx, app)
    for name in (source, target):
        await environments.find(ctx, name)
    async with ctx.store.read() as db:
        place = await apps.environment(db, app, source)
        release = await stored.find(db, place.release_id) if place else None
    if release is None:
        raise errors.Conflict(
            f"{app} has no release in {source} to promote.", hint=f"`pier deploy --environment {source}` makes one."
        )
    releases.refuse_barred(release)
    return release


def _proposal(release: Release, target: str, author: str) -> Proposal:
    image = Image(release.image, release.commit, release.subject, release.file, release.image_config)
    return Proposal(target, releases.spec_in(release, target), image, "promote", author)


def _differences(
    ctx: Context, place: apps.Environment | None, before: Release | None, after: Side
) -> Sequence[Difference]:
    """What would run otherwise. How many `pier scale` asked for stays, whatever releases say."""

    def sized(side: Side) -> Side:
        asked = place.replicas if place else None
        return side if asked is None else replace(side, spec=replace(side.spec, replicas=asked))

    return difference.between(sized(_side(before)) if before else None, sized(after), ctx.domains)


def _side(release: Release) -> Side:
    variables = {**release.spec.env, **release.variables}
    return Side(release.image, release.commit, release.spec, release.environment, variables, release.secrets)


async def _commits(ctx: Context, app: str, old: str, new: str) -> Sequence[str]:
    folder = ctx.settings.home / "git" / f"{app}.git"
    if not old or old == new or not folder.exists():
        return []
    return await repository.between(folder, old, new)
