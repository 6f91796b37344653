"""The keys that secrets and certificates are sealed with: which seals, and how far replacing one is. Never a key."""

from __future__ import annotations

from fastapi import APIRouter

from pierhead.api.auth import Ctx
from pierhead.control import rotation
from pierhead.control.rotation import Key

router = APIRouter(tags=["keys"])


@router.get("/keys/{name}")
async def show_key(ctx: Ctx, name: str) -> Key:
    """`secrets` or `certificates`."""
    return await rotation.show(ctx, name)


@router.post("/keys/certificates/coming")
async def prepare_key(ctx: Ctx) -> Key:
    """Makes the coming key of certificates, which gateways are given before it is taken."""
    return await rotation.prepare(ctx)


@router.post("/keys/{name}/rotation", status_code=202)
async def rotate_key(ctx: Ctx, name: str) -> Key:
    """A new key seals from now on; everything is sealed anew, and then the old one is forgotten."""
    return await rotation.begin(ctx, name)
