"""A release as a build makes one."""

from __future__ import annotations

from pierhead.control import builds, deployments, releases
from pierhead.control.context import Context
from pierhead.model.app import Spec
from pierhead.model.release import Release
from pierhead.store.deployments import Deployment
from pierhead.store.releases import Image


async def released(
    ctx: Context, spec: Spec, commit: str = "c0ffee", environment: str = "dev", file: str = ""
) -> Deployment:
    """The deployment of a new release of `spec`."""
    await builds.request(ctx, spec.app, environment, "https://git.example/notes", "main")
    build = await builds.claim(ctx)
    assert build is not None
    image = Image(f"registry/{spec.app}@sha256:{commit}", commit, "A commit", file)
    deployment = await releases.propose(ctx, build, spec, image)
    assert deployment is not None
    return deployment


async def running(
    ctx: Context, spec: Spec, commit: str = "c0ffee", environment: str = "dev", file: str = ""
) -> Release:
    """A new release that the environment has."""
    deployment = await released(ctx, spec, commit, environment, file)
    assert await deployments.succeeded(ctx, deployment, "done")
    return await releases.find(ctx, deployment.to_release_id)
