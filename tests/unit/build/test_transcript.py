"""A build's log is kept, however much it writes; but not without end."""

from __future__ import annotations

from pierhead.build import transcript
from pierhead.build.transcript import Transcript
from pierhead.control import builds
from pierhead.control.context import Context
from pierhead.store import journal
from pierhead.store.journal import Subject


async def test_lines_are_kept_in_order_until_there_are_too_many(ctx: Context) -> None:
    build = await builds.request(ctx, "notes", "", "https://git.example/notes", "main")
    log = Transcript(ctx, build.id)
    await log.add("fetch", "main")
    await log.add("build", "x" * 20_000)
    await log.flush()
    for _ in range(transcript._MOST_CHARACTERS // 100_000 + 10):
        await log.add("build", "y" * 100_000)
    await log.flush()
    async with ctx.store.read() as db:
        first, second, *_ = await journal.after(db, Subject.BUILD, build.id, 0)
        kept = await journal.after(db, Subject.BUILD, build.id, 0, 10_000)
        steps = await journal.steps(db, Subject.BUILD, build.id)
    assert (first.step, first.text) == ("fetch", "main")
    assert second.text.endswith("xxx … (20000 characters)")
    assert kept[-1].text == "The log has more than 8 MiB: the rest is not kept."
    assert [(step.name, step.lines) for step in steps] == [("fetch", 1), ("build", len(kept) - 1)]
