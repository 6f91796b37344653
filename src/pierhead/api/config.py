"""Config: the variables of an app, for all environments and for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from pierhead.api import views
from pierhead.api.auth import Ctx, Who
from pierhead.control import config
from pierhead.store.config import Revision

router = APIRouter(prefix="/apps/{app}", tags=["config"])
Scope = Annotated[str, Query(description="The environment; empty: what holds in all of them.")]


class Change(BaseModel):
    model_config = ConfigDict(extra="forbid")
    environment: Annotated[str, Field(description="Empty: all environments.")] = ""
    variables: Annotated[Mapping[str, str | None], Field(description="Name → value; `null` removes it.")]
    later: Annotated[bool, Field(description="Release nothing now: the next release has it.")] = False


@dataclass(frozen=True, slots=True)
class ChangedView:
    revision: Revision
    deployments: Sequence[views.DeploymentView]
    """One for every environment in which the change makes a difference."""


@router.get("/variables")
async def list_variables(ctx: Ctx, app: str, environment: Scope = "") -> Sequence[config.Variable]:
    """The variables that hold, where each is said, and whether what runs has it."""
    return await config.listing(ctx, app, environment)


@router.patch("/variables")
async def change_variables(ctx: Ctx, who: Who, app: str, wanted: Change) -> ChangedView:
    """A new revision of the config, and a release with it in every environment that it makes a difference to."""
    changed = await config.change(ctx, app, wanted.environment, wanted.variables, who, later=wanted.later)
    return ChangedView(changed.revision, [views.deployment(one) for one in changed.deployments])


@router.get("/config")
async def list_revisions(ctx: Ctx, app: str) -> Sequence[Revision]:
    """Every revision of the config, the newest first: who changed what, and when."""
    return await config.history(ctx, app)


@router.get("/config/difference")
async def show_difference(
    ctx: Ctx, app: str, before: int, environment: Scope = "", after: int | None = None
) -> Sequence[config.Difference]:
    """What changed from one revision to another; without `after` to now."""
    return await config.diff(ctx, app, environment, before, after)
