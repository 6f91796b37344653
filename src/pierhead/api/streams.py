"""Journals and logs as server-sent events: each has an id, and a reader that comes back goes on after its last one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Header, Query
from fastapi.responses import StreamingResponse

from pierhead.control import journal
from pierhead.control.context import Context
from pierhead.kit import clock
from pierhead.store.journal import Entry, Subject

LastEvent = Annotated[int, Header(alias="Last-Event-ID", description="Go on after this entry.")]
After = Annotated[int, Query(description="The same as the header, for those who cannot send one.")]


async def follow(ctx: Context, subject: Subject, subject_id: int, after: int) -> StreamingResponse:
    """The journal from there on, until the build or deployment has ended; then one event `end`."""
    return respond(_entries(journal.follow(ctx, subject, subject_id, after)))


def respond(events: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def event(data: Any, *, event_id: int | None = None, kind: str = "") -> str:
    """One event in the format of the HTML standard, §9.2."""
    lines = [f"id: {event_id}"] if event_id is not None else []
    if kind:
        lines.append(f"event: {kind}")
    return "\n".join([*lines, f"data: {json.dumps(data, ensure_ascii=False)}", "", ""])


async def _entries(entries: AsyncIterator[Entry]) -> AsyncIterator[str]:
    async for entry in entries:
        yield event(asdict(entry) | {"at": clock.text(entry.at)}, event_id=entry.id)
    yield event({}, kind="end")
