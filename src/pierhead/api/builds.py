"""Builds: uploaded or fetched commits on their way to images."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from pierhead.api import streams
from pierhead.api.auth import Ctx, Who
from pierhead.api.streams import After, LastEvent
from pierhead.control import builds
from pierhead.control.builds import Expected
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model.build import Build
from pierhead.store.journal import Step, Subject

router = APIRouter(tags=["builds"])
_MOST_BYTES = 2 << 30
_MOST_FILE_BYTES = 4 << 20


class BuildRequest(BaseModel):
    """What to build, and where to release it."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, Field(description="A git URL, or the `source` that an upload answered.", min_length=1)]
    ref: Annotated[str, Field(description="Branch, tag or commit.", min_length=1)] = "HEAD"
    environment: Annotated[str, Field(description="Where to release it; empty: only build.")] = ""


class Upload(BaseModel):
    source: Annotated[str, Field(description="What a build request names as its `source`.")]


@router.post("/uploads/preview")
async def preview_upload(ctx: Ctx, request: Request, environment: Annotated[str, Query(min_length=1)]) -> Expected:
    """Takes a pier.yaml as the body: which app it is of, and which commits of it need not be sent."""
    return await builds.expected(ctx, await _file(request), environment)


@router.post("/apps/{app}/uploads", status_code=201)
async def upload(ctx: Ctx, app: str, request: Request) -> Upload:
    """Takes a git bundle as the body; it is checked when it is built."""
    source = builds.UPLOAD + secrets.token_hex(16)
    target = builds.bundle(ctx, source)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    try:
        await _receive(request, part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return Upload(source=source)


@router.post("/apps/{app}/builds", status_code=202)
async def request_build(ctx: Ctx, who: Who, app: str, wanted: BuildRequest) -> Build:
    """Queues a build. Its journal is at `/v1/builds/{id}/journal`."""
    _check_upload(ctx, wanted.source)
    return await builds.request(ctx, app, wanted.environment, wanted.source, wanted.ref, author=who)


@router.get("/builds")
async def list_builds(ctx: Ctx, app: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[Build]:
    """The newest first."""
    return list(await builds.listing(ctx, app, limit))


@router.get("/builds/{build_id}")
async def show_build(ctx: Ctx, build_id: int) -> Build:
    return await builds.find(ctx, build_id)


@router.post("/builds/{build_id}/cancel")
async def cancel_build(ctx: Ctx, build_id: int) -> Build:
    """Ends a queued or running build."""
    return await builds.cancel(ctx, build_id)


@router.get("/builds/{build_id}/steps")
async def list_build_steps(ctx: Ctx, build_id: int) -> list[Step]:
    """The steps of the build, from when to when, and how many lines of its log are of each."""
    return list(await builds.steps(ctx, build_id))


@router.get("/builds/{build_id}/report", response_class=Response)
async def show_build_report(ctx: Ctx, build_id: int) -> Response:
    """The JUnit report that the build's tests wrote, as it is; `X-Summary` has its numbers."""
    summary, xml = await builds.report(ctx, build_id)
    return Response(xml, media_type="application/xml", headers={"X-Summary": summary})


@router.get("/builds/{build_id}/journal")
async def follow_build(ctx: Ctx, build_id: int, last: LastEvent = 0, after: After = 0) -> StreamingResponse:
    """The build's log as server-sent events, until it has ended."""
    await builds.find(ctx, build_id)
    return await streams.follow(ctx, Subject.BUILD, build_id, last or after)


def _check_upload(ctx: Context, source: str) -> None:
    """Raises: NotFound when the upload that a source names is not there."""
    name = source.removeprefix(builds.UPLOAD)
    if source.startswith(builds.UPLOAD) and not (name.isalnum() and builds.bundle(ctx, source).exists()):
        raise errors.NotFound(
            f"There is no upload {name!r}.", hint="POST the git bundle to /v1/apps/{app}/uploads first."
        )


async def _file(request: Request) -> bytes:
    """The body. Raises: Invalid (it is too large for a pier.yaml)."""
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > _MOST_FILE_BYTES:
            raise errors.Invalid(f"The pier.yaml has more than {_MOST_FILE_BYTES >> 20} MiB.")
    return bytes(text)


async def _receive(request: Request, part: Path) -> None:
    """The body is in the file, and on disk. Raises: Invalid (it is too large)."""
    size = 0
    with part.open("wb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > _MOST_BYTES:
                raise errors.Invalid(f"The upload has more than {_MOST_BYTES >> 30} GiB.")
            await asyncio.to_thread(file.write, chunk)
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())
