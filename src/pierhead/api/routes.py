"""Routes: which names lead where, and whether they do."""

from __future__ import annotations

from fastapi import APIRouter

from pierhead.api.auth import Ctx
from pierhead.control import routes
from pierhead.model.route import Listed

router = APIRouter(tags=["routes"])


@router.get("/routes")
async def list_routes(ctx: Ctx) -> list[Listed]:
    """Every route as the gateways carry it out, with what is wrong."""
    return list(await routes.listing(ctx))
