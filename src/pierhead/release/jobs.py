"""Hooks: engine services that run one container once. What became of each is written down before it is removed, so
that whoever goes on never runs one twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pierhead.control import deployments, logs
from pierhead.control.context import Context
from pierhead.control.instances import Cluster
from pierhead.kit import clock
from pierhead.model.instance import Label
from pierhead.model.release import Release
from pierhead.release.group import Member
from pierhead.release.scene import SUCCEEDED, Scene
from pierhead.wire.docker import services

LINES = 20


def of(scene: Scene, there: Cluster) -> list[Member]:
    """The hooks of the environment that the engine has, of whatever release."""
    place = scene.place
    found = there.jobs.get((place.app, place.environment), ())
    return [Member(one, there.tasks.get(one.id, ())) for one in found if Label.RUN not in one.labels]


def running(scene: Scene, jobs: Sequence[Member]) -> list[str]:
    """The hooks of the release that the environment moves to."""
    release = scene.target.name if scene.target and scene.place.moving else ""
    return [job.service.labels[Label.JOB] for job in jobs if job.service.labels.get(Label.RELEASE) == release]


async def look(ctx: Context, scene: Scene, jobs: Sequence[Member]) -> bool:
    """What ended is written down; what nobody waits for is ended and removed. True when something was done."""
    moving, release = scene.place.moving, scene.target
    has_changed = False
    for job in jobs:
        name = job.service.labels[Label.JOB]
        is_awaited = moving and release and job.service.labels.get(Label.RELEASE) == release.name
        if moving and release and is_awaited and name not in moving.hooks:
            if said := _ended(job, release, name):
                lines = await logs.last(ctx, job.service, LINES)
                await deployments.hooked(ctx, moving, name, said, lines)
                has_changed = True
        else:
            await remove(ctx, job)
            has_changed = True
    return has_changed


async def remove(ctx: Context, job: Member) -> None:
    """It is gone once its container has ended."""
    if job.service.replicas:
        await services.scale(ctx.engine, job.service, 0)
    elif job.is_spent:
        await services.remove(ctx.engine, job.service.id)


def _ended(job: Member, release: Release, name: str) -> str:
    """`succeeded`, or why it did not; empty: it has not ended."""
    newest = job.newest
    if newest and newest.state == "complete":
        return SUCCEEDED
    if newest and newest.has_failed:
        return f"{name} failed: {newest.error}"
    limit = release.spec.deploy.hooks.limit
    begun = min((task.changed_at for task in job.tasks), default=None)
    if begun and clock.now() - begun > limit + timedelta(seconds=1):
        return f"{name} took longer than {limit.total_seconds():g} s"
    return ""
