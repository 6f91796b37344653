"""Commands that people run once, in a container of what an environment runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from pierhead.api.auth import Ctx, Who
from pierhead.control import runs
from pierhead.control.context import Context
from pierhead.model.run import Run, RunState

router = APIRouter(tags=["runs"])


class RunBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    command: Annotated[Sequence[str], Field(description="Behind the image's entrypoint.")]
    variables: Annotated[Mapping[str, str], Field(description="Besides those of the release.")] = {}
    is_watched: Annotated[bool, Field(description="You run `words` in it; otherwise it runs by itself.")] = True


class EndBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    exit_code: Annotated[int | None, Field(description="What the command ended with; null: it shall end now.")] = None


@dataclass(frozen=True, slots=True)
class RunView:
    id: int
    app: str
    environment: str
    author: str
    command: Sequence[str]
    is_watched: bool
    state: RunState
    reason: str
    """What it waits for, or why nobody knows how it ended."""
    instance: str
    """The container, once it runs."""
    words: Sequence[str]
    """What is run in that by `/v1/instances/{instance}/exec`; empty for one that runs by itself."""
    exit_code: int | None
    output: str
    """The last lines of one that ran by itself, without secrets."""
    created_at: datetime
    ended_at: datetime | None


@router.post("/apps/{app}/environments/{environment}/runs", status_code=201)
async def request_run(ctx: Ctx, who: Who, app: str, environment: str, wanted: RunBody) -> RunView:
    """Asks for a container of the present release in which a command runs once, with its config and secrets."""
    asked = runs.Wanted(wanted.command, wanted.variables, wanted.is_watched)
    return await _view(ctx, await runs.request(ctx, app, environment, asked, who))


@router.get("/apps/{app}/runs")
async def list_runs(ctx: Ctx, app: str) -> list[RunView]:
    """The newest first; the last hundred of an app are kept."""
    return [await _view(ctx, one) for one in await runs.listing(ctx, app)]


@router.get("/runs/{run_id}")
async def show_run(ctx: Ctx, run_id: int) -> RunView:
    return await _view(ctx, await runs.find(ctx, run_id))


@router.post("/runs/{run_id}/end")
async def end_run(ctx: Ctx, who: Who, run_id: int, wanted: EndBody) -> RunView:
    """Its container is removed."""
    if wanted.exit_code is None:
        return await _view(ctx, await runs.cancel(ctx, run_id, who))
    await runs.ended(ctx, await runs.find(ctx, run_id), wanted.exit_code)
    return await _view(ctx, await runs.find(ctx, run_id))


async def _view(ctx: Context, run: Run) -> RunView:
    return RunView(
        id=run.id,
        app=run.app,
        environment=run.environment,
        author=run.author,
        command=run.command,
        is_watched=run.is_watched,
        state=run.state,
        reason=run.reason,
        instance=run.instance,
        words=await runs.words(ctx, run) if run.state is RunState.RUNNING else (),
        exit_code=run.exit_code,
        output=run.output,
        created_at=run.created_at,
        ended_at=run.ended_at,
    )
