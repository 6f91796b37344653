"""Apps, their environments, releases, deployments and secrets."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from pierhead.api import streams, views
from pierhead.api.auth import Ctx, Who
from pierhead.api.streams import After, LastEvent
from pierhead.control import apps, deployments, receipts, releases, secrets
from pierhead.kit import errors
from pierhead.store.journal import Subject

router = APIRouter(tags=["apps"])


class Scale(BaseModel):
    model_config = ConfigDict(extra="forbid")
    replicas: Annotated[int, Field(description="Instances that should run.")]


class Maintenance(BaseModel):
    model_config = ConfigDict(extra="forbid")
    is_on: Annotated[bool, Field(description="Gateways show the maintenance page instead of the app.")]


class Rollback(BaseModel):
    model_config = ConfigDict(extra="forbid")
    release: Annotated[int | None, Field(description="Number of the release to go to; left out: the one before.")] = (
        None
    )


class Reason(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


class SecretValue(BaseModel):
    model_config = ConfigDict(extra="forbid")
    value_base64: Annotated[str, Field(description="The value, in base64.")]


@router.get("/environments")
async def list_environments(ctx: Ctx, app: str = "") -> list[views.EnvironmentView]:
    """Every app in every environment: what is released there, what moves, where it answers."""
    return [views.environment(place) for place in await apps.places(ctx, app)]


@router.get("/apps/{app}/environments/{environment}")
async def show_environment(ctx: Ctx, app: str, environment: str) -> views.EnvironmentView:
    return views.environment(await apps.place(ctx, app, environment))


@router.delete("/apps/{app}", status_code=204)
async def remove_app(ctx: Ctx, app: str) -> None:
    """Ends all instances and forgets the app. Its volumes stay."""
    await apps.remove(ctx, app)


@router.put("/apps/{app}/environments/{environment}/scale")
async def scale(ctx: Ctx, app: str, environment: str, wanted: Scale) -> views.EnvironmentView:
    return views.environment(await apps.scale(ctx, app, environment, wanted.replicas))


@router.put("/apps/{app}/environments/{environment}/maintenance")
async def set_maintenance(ctx: Ctx, app: str, environment: str, wanted: Maintenance) -> views.EnvironmentView:
    return views.environment(await apps.set_maintenance(ctx, app, environment, is_on=wanted.is_on))


@router.get("/apps/{app}/releases")
async def list_releases(ctx: Ctx, app: str, environment: str = "") -> list[views.ReleaseView]:
    """The newest first."""
    return [views.listed(release) for release in await releases.listing(ctx, app, environment)]


@router.post("/apps/{app}/environments/{environment}/rollback", status_code=202)
async def rollback(ctx: Ctx, who: Who, app: str, environment: str, wanted: Rollback) -> views.DeploymentView:
    """Moves the environment to an earlier release, image and config alike."""
    return views.deployment(await releases.rollback(ctx, app, environment, wanted.release, who))


@router.post("/apps/{app}/environments/{environment}/restart", status_code=202)
async def restart(ctx: Ctx, who: Who, app: str, environment: str) -> views.DeploymentView:
    """Makes a release of the same image with the newest config and secrets, and moves the environment to it."""
    return views.deployment(await releases.restart(ctx, app, environment, who))


@router.get("/apps/{app}/deployments")
async def list_deployments(ctx: Ctx, app: str, environment: str = "") -> list[views.DeploymentView]:
    """The newest first."""
    return [views.deployment(one) for one in await deployments.listing(ctx, app, environment)]


@router.get("/deployments/{deployment_id}")
async def show_deployment(ctx: Ctx, deployment_id: int) -> views.DeploymentView:
    return views.deployment(await deployments.find(ctx, deployment_id))


@router.post("/deployments/{deployment_id}/cancel")
async def cancel_deployment(ctx: Ctx, who: Who, deployment_id: int) -> views.DeploymentView:
    """Ends a deployment; what ran before comes back."""
    return views.deployment(await deployments.cancel(ctx, deployment_id, who))


@router.post("/deployments/{deployment_id}/approve")
async def approve_deployment(ctx: Ctx, who: Who, deployment_id: int) -> views.DeploymentView:
    """Lets a deployment begin, where the environment asks for approvals."""
    return views.deployment(await deployments.approve(ctx, deployment_id, who))


@router.post("/deployments/{deployment_id}/override")
async def override_freeze(ctx: Ctx, who: Who, deployment_id: int, wanted: Reason) -> views.DeploymentView:
    """Lets a deployment begin although its environment is frozen. The reason is kept with it."""
    return views.deployment(await deployments.override(ctx, deployment_id, who, wanted.reason))


@router.put("/apps/{app}/environments/{environment}/releases/{number}/bar")
async def bar_release(ctx: Ctx, app: str, environment: str, number: int, wanted: Reason) -> views.ReleaseView:
    """Nobody may go back to the release or promote it, for that reason. What runs, runs on."""
    return views.release(await releases.bar(ctx, app, environment, number, wanted.reason), is_current=False)


@router.delete("/apps/{app}/environments/{environment}/releases/{number}/bar", status_code=204)
async def unbar_release(ctx: Ctx, app: str, environment: str, number: int) -> None:
    await releases.unbar(ctx, app, environment, number)


@router.post("/deployments/{deployment_id}/continue")
async def continue_deployment(ctx: Ctx, who: Who, deployment_id: int) -> views.DeploymentView:
    """Lets a deployment go on from the share of the requests at which it pauses."""
    return views.deployment(await deployments.proceed(ctx, deployment_id, who))


@router.get("/apps/{app}/receipt")
async def show_receipt(ctx: Ctx, app: str, deployment: int | None = None) -> views.ReceiptView:
    """What the gateways counted for both releases while a deployment moved; without a number of the newest one."""
    return views.receipt(*await receipts.find(ctx, app, deployment))


@router.get("/deployments/{deployment_id}/journal")
async def follow_deployment(ctx: Ctx, deployment_id: int, last: LastEvent = 0, after: After = 0) -> StreamingResponse:
    """The deployment's steps as server-sent events, until it has ended."""
    await deployments.find(ctx, deployment_id)
    return await streams.follow(ctx, Subject.DEPLOYMENT, deployment_id, last or after)


@router.get("/apps/{app}/environments/{environment}/secrets")
async def list_secrets(ctx: Ctx, app: str, environment: str) -> list[views.SecretView]:
    """Names and versions. Values are never shown."""
    return [views.secret(one) for one in await secrets.listing(ctx, app, environment)]


@router.put("/apps/{app}/environments/{environment}/secrets/{name}")
async def put_secret(ctx: Ctx, app: str, environment: str, name: str, wanted: SecretValue) -> views.SecretView:
    """A new version, delivered from the next release on."""
    try:
        value = base64.b64decode(wanted.value_base64, validate=True)
    except binascii.Error as error:
        raise errors.Invalid(f"value_base64 is not base64: {error}") from None
    return views.secret(await secrets.put(ctx, app, environment, name, value))
