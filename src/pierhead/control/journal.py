"""The journal as it grows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from pierhead.control import builds, deployments
from pierhead.control.context import Context
from pierhead.store import journal
from pierhead.store.journal import Entry, Subject

_LOOK_AGAIN = timedelta(seconds=1)
"""Entries of another server arrive without a signal."""


async def follow(ctx: Context, subject: Subject, subject_id: int, after: int = 0) -> AsyncIterator[Entry]:
    """Every entry after that one, as they come, until the build or deployment has ended. Raises: NotFound."""
    ended = False
    while True:
        async with ctx.store.read() as db:
            entries = await journal.after(db, subject, subject_id, after)
        for entry in entries:
            after = entry.id
            yield entry
        if entries:
            continue
        if ended:
            return
        ended = await _has_ended(ctx, subject, subject_id)
        if not ended:
            await ctx.journal_grew.wait(_LOOK_AGAIN)


async def _has_ended(ctx: Context, subject: Subject, subject_id: int) -> bool:
    if subject is Subject.BUILD:
        return (await builds.find(ctx, subject_id)).state.has_ended
    return (await deployments.find(ctx, subject_id)).state.has_ended
