"""Runs: an engine service with one container for each, until it has ended.

Of one that somebody watches the container only waits, and the command is run in it through the channel of its node, so
that a terminal, input and lost connections are those of `pier exec`. A container in which nothing runs any more ends by
itself: whoever dies on the way leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from pierhead.control import logs, releases, runs
from pierhead.control.context import Context
from pierhead.control.instances import Cluster
from pierhead.kit import clock, errors
from pierhead.model.instance import Label
from pierhead.model.run import Run, RunState
from pierhead.release import apply, jobs
from pierhead.release.group import Member

_LINES = 1000
_PATIENCE = timedelta(minutes=10)
"""How long a run waits for its container."""
_LAST_WORDS = timedelta(minutes=1)
"""How long an ended container is kept whose node does not tell what it wrote."""


async def look(ctx: Context, there: Cluster) -> bool:
    """Every run is a step further, and what belongs to none is on its way out. True when something is on its way."""
    wanted = {run.id: run for run in await runs.unfinished(ctx)}
    found = _found(there)
    for number, member in found.items():
        if number not in wanted:
            await jobs.remove(ctx, member)
    for run in wanted.values():
        try:
            await (_follow(ctx, run, found[run.id]) if run.id in found else _begin(ctx, run, there))
        except (errors.Invalid, errors.NotFound) as error:
            await runs.failed(ctx, run, str(error))
    return any(run.state is RunState.WAITING for run in wanted.values()) or bool(found.keys() - wanted.keys())


def _found(there: Cluster) -> Mapping[int, Member]:
    every = [one for mine in there.jobs.values() for one in mine if Label.RUN in one.labels]
    return {int(one.labels[Label.RUN]): Member(one, there.tasks.get(one.id, ())) for one in every}


async def _begin(ctx: Context, run: Run, there: Cluster) -> None:
    if run.instance:  # it was there
        await runs.failed(ctx, run, "Its container was removed.")
        return
    release = await releases.find(ctx, run.release_id)
    serving = there.services.get((run.app, run.environment), ())
    tasks = [task for one in serving for task in there.tasks.get(one.id, ())]
    await apply.run(ctx, replace(release, variables={**release.variables, **run.variables}), run, tasks)


async def _follow(ctx: Context, run: Run, member: Member) -> None:
    newest = member.newest
    if newest and newest.has_failed:
        if run.is_watched and newest.state == "complete":
            await runs.failed(ctx, run, "Whoever watched it went away.")
        elif newest.exit_code is None or newest.state == "rejected" or (run.is_watched and not run.instance):
            await runs.failed(ctx, run, newest.error)
        else:
            await _end(ctx, run, member, newest.exit_code)
    elif newest and newest.is_running and newest.container:
        if newest.container != run.instance:
            await runs.begun(ctx, run, newest.container)
    elif clock.now() - run.created_at > _PATIENCE:
        await runs.failed(ctx, run, f"No container within {_PATIENCE.total_seconds():g} s: {run.reason}")
    else:
        await runs.waits(ctx, run, (newest.error or newest.state) if newest else "has no container yet")


async def _end(ctx: Context, run: Run, member: Member, exit_code: int) -> None:
    """It has ended with what it wrote, as soon as that is known; without, when nobody tells it for too long."""
    try:
        lines = await logs.tail(ctx, member.service, _LINES)
    except errors.Unavailable as error:
        if clock.now() - max(task.changed_at for task in member.tasks) < _LAST_WORDS:
            return
        lines = [f"(unknown: {error})"]
    await runs.ended(ctx, run, exit_code, lines)
