"""Environments, and what a deployment to one would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from pierhead.api import views
from pierhead.api.auth import Ctx, Who
from pierhead.control import environments, promotion
from pierhead.control.promotion import Preview
from pierhead.model.environment import Environment, Freeze

router = APIRouter(tags=["environments"])


class FreezeBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    begin: Annotated[str, Field(description="In UTC: `2026-12-20T00:00`, or `Fri 16:00` for every week.")]
    end: str
    reason: str = ""


class EnvironmentBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    domain: Annotated[str, Field(description="Apps are found as `<app>.<domain>` too.")] = ""
    replicas: Annotated[int | None, Field(description="Of every app; null: what `pier.yaml` says.")] = None
    labels: Annotated[Mapping[str, str], Field(description="Labels that nodes must have.")] = {}
    approvals: Annotated[int, Field(description="So many people must let a deployment begin.")] = 0
    not_author: Annotated[bool, Field(description="Who asked for a deployment is none of them.")] = False
    freezes: Annotated[Sequence[FreezeBody], Field(description="When nothing is deployed.")] = ()


class PlanBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    file: Annotated[str, Field(description="The `pier.yaml` of the commit.")]
    commit: str = ""


class PromotionBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    source: Annotated[str, Field(description="The environment whose release is taken.")]
    target: Annotated[str, Field(description="Where it goes.")]


@router.get("/environment-settings")
async def list_environment_settings(ctx: Ctx) -> Sequence[Environment]:
    """Every environment and what holds in it, whatever runs there."""
    return await environments.listing(ctx)


@router.post("/environment-settings/{name}", status_code=201)
async def create_environment(ctx: Ctx, name: str, wanted: EnvironmentBody) -> Environment:
    """Makes an environment that apps can be deployed to."""
    return await environments.create(ctx, _environment(name, wanted))


@router.put("/environment-settings/{name}")
async def change_environment(ctx: Ctx, name: str, wanted: EnvironmentBody) -> Environment:
    """What holds from now on: approvals and freezes at once, the rest from the next release on."""
    await environments.find(ctx, name)
    return await environments.put(ctx, _environment(name, wanted))


@router.delete("/environment-settings/{name}", status_code=204)
async def remove_environment(ctx: Ctx, name: str) -> None:
    await environments.remove(ctx, name)


@router.post("/apps/{app}/environments/{environment}/plan")
async def plan(ctx: Ctx, request: Request, app: str, environment: str, wanted: PlanBody) -> Preview:
    """What deploying a commit would change, and the steps. Changes nothing."""
    return await promotion.plan(ctx, app, environment, wanted.file, wanted.commit, request.app.state.simulate)


@router.post("/apps/{app}/promotion/preview")
async def preview_promotion(ctx: Ctx, request: Request, app: str, wanted: PromotionBody) -> Preview:
    """What a promotion would change, and the steps. Changes nothing."""
    return await promotion.preview(ctx, app, wanted.source, wanted.target, request.app.state.simulate)


@router.post("/apps/{app}/promotion", status_code=202)
async def promote(ctx: Ctx, who: Who, app: str, wanted: PromotionBody) -> views.DeploymentView:
    """Brings the image that one environment runs to another one, by digest."""
    return views.deployment(await promotion.promote(ctx, app, wanted.source, wanted.target, who))


def _environment(name: str, wanted: EnvironmentBody) -> Environment:
    freezes = tuple(Freeze(one.begin, one.end, one.reason) for one in wanted.freezes)
    return Environment(
        name, wanted.domain, wanted.replicas, wanted.labels, wanted.approvals, wanted.not_author, freezes
    )
