"""The API put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response

import pierhead
from pierhead.api import (
    apps,
    auth,
    builds,
    certificates,
    config,
    environments,
    errors,
    git,
    hooks,
    instances,
    keys,
    nodes,
    prune,
    registry,
    routes,
    runs,
    tokens,
)
from pierhead.api.channel import router as channel_router
from pierhead.api.channel import sockets as channel_sockets
from pierhead.appfile import published
from pierhead.control.context import Context
from pierhead.control.promotion import Simulate


@dataclass(frozen=True, slots=True)
class Version:
    name: str
    version: str


def create(context: Context, status: Callable[[], Any], simulate: Simulate) -> FastAPI:
    """The application. `status` answers with what the parts of this process say of themselves; `simulate` with the
    steps that a deployment would take."""
    app = FastAPI(
        title="Pierhead",
        version=pierhead.__version__,
        description="Apps, builds, releases, instances and the cluster they run on.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    app.state.status = status
    app.state.simulate = simulate
    errors.install(app)
    app.include_router(_open, prefix="/v1")
    app.include_router(hooks.open_router, prefix="/v1")
    needs_token = [Depends(auth.identify)]
    for router in (
        apps.router,
        certificates.router,
        channel_router,
        config.router,
        environments.router,
        builds.router,
        routes.router,
        hooks.router,
        git.router,
        prune.router,
        registry.router,
        instances.router,
        nodes.router,
        keys.router,
        runs.router,
        tokens.router,
        _status,
    ):
        app.include_router(router, prefix="/v1", dependencies=needs_token)
    for router in (instances.sockets, channel_sockets):
        app.include_router(router, prefix="/v1")
    return app


_open = APIRouter(tags=["server"])
_status = APIRouter(tags=["server"])


@_open.get("/version")
async def version() -> Version:
    """Answers without a token: whether a Pierhead is here, and which."""
    return Version("pierhead", pierhead.__version__)


@_open.get("/pier.schema.json", response_class=Response)
async def app_file_schema() -> Response:
    """The JSON Schema of `pier.yaml`, for editors; answers without a token."""
    return Response(published.json_text(), media_type="application/schema+json")


@_status.get("/status")
async def status(request: Request) -> Any:
    """Every part of this process: its state, since when, what is wrong, what to do."""
    return request.app.state.status()
