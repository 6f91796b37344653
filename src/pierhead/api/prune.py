"""Images that are not needed any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter

from pierhead.api.auth import Ctx
from pierhead.control import prune
from pierhead.control.prune import Done

router = APIRouter(tags=["prune"])


@dataclass(frozen=True, slots=True)
class PruneView:
    removals: Sequence[str]
    """A line per image: which, why, how much."""
    size: int
    """Bytes that would be free."""
    kept: int


@router.get("/prune")
async def plan_prune(ctx: Ctx) -> PruneView:
    """What would be removed, and why. Changes nothing."""
    found = await prune.plan(ctx)
    return PruneView([str(removal) for removal in found.removals], found.size, found.kept)


@router.post("/prune")
async def run_prune(ctx: Ctx) -> Done:
    """Removes it, once no build runs."""
    return await prune.run(ctx)
