"""Commands that people run once in an environment: asked for here, brought about by the release loop."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model import dot_pier
from pierhead.model.release import Release
from pierhead.model.run import Run, RunState
from pierhead.store import apps, releases, runs

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Wanted:
    command: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict)
    is_watched: bool = True


async def request(ctx: Context, app: str, environment: str, wanted: Wanted, author: str) -> Run:
    """A container of the environment's release is on its way, with all that its instances have but their ports.

    Raises: NotFound (no such app), Conflict (no release there), Invalid.
    """
    _check(wanted)
    async with ctx.store.write() as db:
        place = await apps.environment(db, app, environment)
        if place is None:
            raise errors.NotFound(f"{app} is not in {environment}.", hint="`pier ps` shows which app is where.")
        release = await releases.find(db, place.release_id)
        _check_release(app, environment, release)
        run = await runs.add(
            db,
            app=app,
            environment=environment,
            release_id=place.release_id,
            author=author,
            command=list(wanted.command),
            variables=dict(wanted.variables),
            is_watched=wanted.is_watched,
        )
    ctx.release_wanted.set()
    return run


async def find(ctx: Context, run_id: int) -> Run:
    """Raises: NotFound."""
    async with ctx.store.read() as db:
        run = await runs.find(db, run_id)
    if run is None:
        raise errors.NotFound(f"There is no run {run_id}.", hint="`pier runs APP` lists an app's.")
    return run


async def listing(ctx: Context, app: str) -> Sequence[Run]:
    """The newest first. Raises: NotFound (no such app)."""
    async with ctx.store.read() as db:
        if await apps.find(db, app) is None:
            raise errors.NotFound(f"There is no app {app!r}.", hint="`pier ps` lists the apps.")
        return await runs.listing(db, app)


async def unfinished(ctx: Context) -> Sequence[Run]:
    """Those that have not ended, the oldest first."""
    async with ctx.store.read() as db:
        return await runs.unfinished(db)


async def waits(ctx: Context, run: Run, reason: str) -> None:
    if reason != run.reason:
        await _change(ctx, run, RunState.WAITING, reason=reason)


async def begun(ctx: Context, run: Run, instance: str) -> None:
    """It has a container that runs."""
    await _change(ctx, run, RunState.RUNNING, instance=instance, reason="")


async def ended(ctx: Context, run: Run, exit_code: int, lines: Sequence[str] = ()) -> bool:
    """Its container is removed. False when it had ended already."""
    return await _change(
        ctx, run, RunState.ENDED, exit_code=exit_code, output="\n".join(lines)[-_MOST_BYTES:], reason=""
    )


async def failed(ctx: Context, run: Run, reason: str) -> bool:
    """Its container is removed. False when it had ended already."""
    return await _change(ctx, run, RunState.FAILED, reason=reason)


async def cancel(ctx: Context, run_id: int, author: str) -> Run:
    """It is ended. Raises: NotFound, Conflict (it had ended)."""
    run = await find(ctx, run_id)
    if not await failed(ctx, run, f"Ended by {author}."):
        raise errors.Conflict(f"Run {run_id} has ended already.", hint=f"`pier runs {run.app}` shows how.")
    return await find(ctx, run_id)


async def words(ctx: Context, run: Run) -> Sequence[str]:
    """What is run in the container so that the command has all that the app would have; empty for one that is not
    watched, because it runs by itself."""
    async with ctx.store.read() as db:
        release = await releases.find(db, run.release_id)
    image = release.image_config if release else None
    if release is None or image is None or not run.is_watched:
        return ()
    env = {**image.env, **release.spec.env, **release.variables, **run.variables}
    return (dot_pier.INIT, *dot_pier.arguments((*image.entrypoint, *run.command), env))


async def _change(ctx: Context, run: Run, state: RunState, **values: object) -> bool:
    async with ctx.store.write() as db:
        has_changed = await runs.change(db, run.id, state, **values)
    ctx.release_wanted.set()
    return has_changed


def _check(wanted: Wanted) -> None:
    problems = [
        errors.Problem(f"variable {name}", "is no name of a variable, or has a NUL character")
        for name, value in wanted.variables.items()
        if not _NAME.fullmatch(name) or name.startswith("PIER_") or "\0" in value
    ]
    texts = [*wanted.command, *wanted.variables.values()]
    if not wanted.command or any("\0" in word for word in wanted.command) or sum(map(len, texts)) > _MOST_BYTES:
        problems.append(errors.Problem("command", f"must have a word, no NUL, and at most {_MOST_BYTES >> 10} KiB"))
    if problems:
        raise errors.Invalid("Nothing was run.", problems=problems)


def _check_release(app: str, environment: str, release: Release | None) -> None:
    if release is None:
        raise errors.Conflict(
            f"{app} has no release in {environment}.", hint=f"`pier deploy --environment {environment}` makes one."
        )
    if release.image_config is None:
        raise errors.Conflict(
            f"{app} {release.name} was made before Pierhead kept how its image is started.", hint="`pier deploy` first."
        )
