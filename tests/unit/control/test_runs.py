"""One-off commands: what may be run, what is run in the container, and that an end counts once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from tests.unit.control.releasing import running

from pierhead.control import runs
from pierhead.control.context import Context
from pierhead.control.runs import Wanted
from pierhead.kit import errors
from pierhead.model.app import Spec
from pierhead.model.run import RunState
from pierhead.store import tables

IMAGE = {"entrypoint": ["/entry"], "command": ["serve"], "env": {"a.b": "1"}}


async def released(ctx: Context) -> None:
    await running(ctx, Spec("notes"))
    async with ctx.store.write() as db:
        await db.execute(sa.update(tables.releases).values(image_config=IMAGE))


async def test_a_command_is_what_the_image_says_with_everything_that_the_app_has(ctx: Context) -> None:
    await released(ctx)
    run = await runs.request(ctx, "notes", "dev", Wanted(["tidy", "-x"], {"DRY": "1"}), "mia")
    assert (run.state, run.author, await runs.unfinished(ctx)) == (RunState.WAITING, "mia", [run])
    assert await runs.words(ctx, run) == ("/.pier/init", "1", "a.b=1", "/entry", "tidy", "-x")
    assert await runs.words(ctx, replace(run, is_watched=False)) == ()


async def test_what_cannot_be_run_is_refused(ctx: Context) -> None:
    with pytest.raises(errors.NotFound, match="notes is not in dev"):
        await runs.request(ctx, "notes", "dev", Wanted(["ls"]), "mia")
    await running(ctx, Spec("notes"))
    with pytest.raises(errors.Conflict, match="made before Pierhead kept"):
        await runs.request(ctx, "notes", "dev", Wanted(["ls"]), "mia")
    await released(ctx)
    for wanted in (Wanted([]), Wanted(["a\0b"]), Wanted(["ls"], {"PIER_APP": "x"}), Wanted(["x" * 100_000])):
        with pytest.raises(errors.Invalid, match="Nothing was run"):
            await runs.request(ctx, "notes", "dev", wanted, "mia")
    assert await runs.listing(ctx, "notes") == []


async def test_an_end_counts_once(ctx: Context) -> None:
    await released(ctx)
    run = await runs.request(ctx, "notes", "dev", Wanted(["ls"]), "mia")
    await runs.waits(ctx, run, "no node has 2 GiB free: a 1 GiB")
    assert (await runs.find(ctx, run.id)).reason == "no node has 2 GiB free: a 1 GiB"
    await runs.begun(ctx, run, "c" * 64)
    assert await runs.ended(ctx, run, 3, ["one", "two"])
    assert not await runs.failed(ctx, run, "late")
    ended = await runs.find(ctx, run.id)
    assert (ended.state, ended.exit_code, ended.output, ended.reason) == (RunState.ENDED, 3, "one\ntwo", "")
    with pytest.raises(errors.Conflict, match="has ended already"):
        await runs.cancel(ctx, run.id, "mia")
    assert await runs.unfinished(ctx) == []


async def test_the_last_hundred_are_kept(ctx: Context) -> None:
    await released(ctx)
    for _ in range(105):
        run = await runs.request(ctx, "notes", "dev", Wanted(["ls"]), "mia")
        await runs.ended(ctx, run, 0)
    found = await runs.listing(ctx, "notes")
    assert (len(found), found[0].id - found[-1].id) == (100, 99)
