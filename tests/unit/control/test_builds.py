"""The build queue: in order, one per app, and not lost with its server."""

from __future__ import annotations

import pytest

from pierhead.control import builds, journal
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model.build import BuildState
from pierhead.store.journal import Subject


async def queued(ctx: Context, app: str = "notes") -> int:
    return (await builds.request(ctx, app, "dev", "https://git.example/notes", "main")).id


async def claimed(ctx: Context) -> int | None:
    build = await builds.claim(ctx)
    return build.id if build else None


async def test_builds_of_one_app_run_one_after_the_other(ctx: Context) -> None:
    first, second, other = await queued(ctx), await queued(ctx), await queued(ctx, "clock")
    assert [await claimed(ctx) for _ in range(3)] == [first, other, None]
    await builds.failed(ctx, first, errors.Failed("No such base image."))
    assert await claimed(ctx) == second


async def test_a_build_whose_server_died_is_tried_once_more_and_then_given_up(ctx: Context) -> None:
    build_id = await queued(ctx)
    for _ in range(2):
        assert await claimed(ctx) == build_id
        await builds.recover(ctx)
    build = await builds.find(ctx, build_id)
    assert (build.state, build.reason) == (BuildState.FAILED, "The server died 2 times while it built this.")


async def test_cancelling_what_has_ended_is_refused(ctx: Context) -> None:
    build_id = await queued(ctx)
    assert (await builds.cancel(ctx, build_id)).state is BuildState.CANCELLED
    with pytest.raises(errors.Conflict, match="has ended already: cancelled"):
        await builds.cancel(ctx, build_id)


async def test_a_bad_name_is_refused_with_its_place(ctx: Context) -> None:
    with pytest.raises(errors.Invalid, match="app: 'No Tes' is not a name"):
        await builds.request(ctx, "No Tes", "dev", "x", "main")
    assert await builds.listing(ctx) == []


async def test_the_journal_is_followed_to_its_end(ctx: Context) -> None:
    build_id = await queued(ctx)
    await builds.claim(ctx)
    await builds.note(ctx, build_id, "fetch", "Fetched main.")
    seen = []
    async for entry in journal.follow(ctx, Subject.BUILD, build_id):
        seen.append(entry.text)
        if len(seen) == 1:
            await builds.failed(ctx, build_id, errors.Failed("The lock file does not resolve."))
    assert seen == ["Fetched main.", "The lock file does not resolve."]
