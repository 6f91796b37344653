"""Routes: which names lead where, and whether they do."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from pierhead.api.auth import Ctx
from pierhead.control import routes
from pierhead.model.route import Listed, document

router = APIRouter(tags=["routes"])


@router.get("/routes")
async def list_routes(ctx: Ctx) -> list[Listed]:
    """Every route as the gateways carry it out, with what is wrong."""
    return list(await routes.listing(ctx))


@router.put("/routes/{name}")
async def put_route(
    ctx: Ctx,
    name: str,
    given: Annotated[dict[str, Any], Body(description="A route's document: docs/reference/routes.md.")],
    replace: Annotated[bool, Query(description="A different route of that name may be replaced.")] = False,
) -> dict[str, Any]:
    """Adds a route to any service of the catalog. 400 with every mistake; 409 where another route has its place."""
    return document(await routes.put(ctx, name, given, replace_it=replace))


@router.delete("/routes/{name}", status_code=204)
async def remove_route(ctx: Ctx, name: str) -> None:
    """Removes a route that a person added; those of releases are Pierhead's own."""
    await routes.remove(ctx, name)
