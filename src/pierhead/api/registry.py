"""The registry, and the account that nodes pull with. Passwords are never answered."""

from __future__ import annotations

from fastapi import APIRouter

from pierhead.api.auth import Ctx
from pierhead.control import registry
from pierhead.control.registry import Shown, Told

router = APIRouter(tags=["registry"])


@router.get("/registry")
async def show_registry(ctx: Ctx) -> Shown:
    """Where images are, with which account, and how many engine services have been told it."""
    return await registry.show(ctx)


@router.post("/registry/rotate")
async def rotate_registry_account(ctx: Ctx) -> Told:
    """Makes a new account, which every engine service is told; then the old one is forgotten. Nothing is restarted."""
    return await registry.rotate(ctx)
