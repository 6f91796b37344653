"""Tokens of people and programs that use this API. Whoever has one may do everything, under their own name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter

from pierhead.api.auth import Ctx
from pierhead.control import tokens
from pierhead.store.tokens import Holder

router = APIRouter(tags=["tokens"])


@dataclass(frozen=True, slots=True)
class Made:
    name: str
    token: str = field(repr=False)
    """Shown this once."""


@router.get("/tokens")
async def list_tokens(ctx: Ctx) -> Sequence[Holder]:
    """Who holds one, without the tokens."""
    return await tokens.users(ctx)


@router.post("/tokens/{name}", status_code=201)
async def create_token(ctx: Ctx, name: str) -> Made:
    """The one before it is refused from now on."""
    return Made(name, await tokens.admit(ctx, name))


@router.delete("/tokens/{name}", status_code=204)
async def revoke_token(ctx: Ctx, name: str) -> None:
    await tokens.dismiss(ctx, name)
