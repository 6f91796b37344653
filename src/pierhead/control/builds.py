"""Asking for builds, and what the build loop says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pierhead import appfile
from pierhead.control import redaction
from pierhead.control.context import Context
from pierhead.control.redaction import Redactor
from pierhead.kit import errors
from pierhead.model.app import NAME
from pierhead.model.build import Build, BuildState
from pierhead.store import apps, builds, journal, reports
from pierhead.store.journal import Subject
from pierhead.store.session import Connection
from pierhead.wire.git import repository

UPLOAD = "upload:"
"""In front of the id of an uploaded bundle, where a build's source is otherwise a git URL."""
_MOST_ATTEMPTS = 2
_LONGEST_LINE = 16 << 10


async def request(ctx: Context, app: str, environment: str, source: str, ref: str, *, author: str = "") -> Build:
    """A build of `ref` is queued; its image will be released to `environment` (empty: only built). Raises: Invalid."""
    async with ctx.store.write() as db:
        build = await queue(db, app, environment, source, ref, author=author)
    ctx.build_wanted.set()
    return build


async def queue(db: Connection, app: str, environment: str, source: str, ref: str, *, author: str = "") -> Build:
    """What `request` promises, as part of a transaction; the caller wakes the loop. Raises: Invalid."""
    problems = [
        errors.Problem(place, f"{value!r} is not a name", "a letter, then letters, digits and '-', at most 40")
        for place, value in (("app", app), ("environment", environment or "x"))
        if not NAME.fullmatch(value)
    ]
    if problems:
        raise errors.Invalid("The build was not queued.", problems=problems)
    await apps.ensure(db, app, environment)
    return await builds.add(db, app, environment, source, ref, author=author)


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known before a commit is uploaded."""

    app: str
    commits: Sequence[str]
    """These, and what is before them, need not be sent."""


async def expected(ctx: Context, file: bytes, environment: str) -> Expected:
    """What becomes of a commit with that pier.yaml. Raises: Invalid with every mistake in it."""
    app = appfile.read(file).spec(environment).app
    return Expected(app, await repository.tips(ctx.settings.home / "git" / f"{app}.git"))


def bundle(ctx: Context, source: str) -> Path:
    """Where the uploaded bundle that a source names is kept until it is built."""
    return ctx.settings.home / "uploads" / f"{source.removeprefix(UPLOAD)}.bundle"


async def find(ctx: Context, build_id: int) -> Build:
    """Raises: NotFound."""
    async with ctx.store.read() as db:
        return await found(db, build_id)


async def found(db: Connection, build_id: int) -> Build:
    """What `find` promises, as part of a transaction. Raises: NotFound."""
    build = await builds.find(db, build_id)
    if build is None:
        raise errors.NotFound(f"There is no build {build_id}.", hint="`pier builds` lists them.")
    return build


async def listing(ctx: Context, app: str = "", limit: int = 50) -> Sequence[Build]:
    """The newest first."""
    async with ctx.store.read() as db:
        return await builds.listing(db, app, limit)


async def cancel(ctx: Context, build_id: int) -> Build:
    """The build has ended; when it ran, the loop stops its container. Raises: NotFound, Conflict (it had ended)."""
    build = await find(ctx, build_id)
    async with ctx.store.write() as db:
        if not await builds.finish(db, build_id, BuildState.CANCELLED, reason="Cancelled."):
            raise errors.Conflict(f"Build {build_id} has ended already: {build.state}.")
        await journal.add(db, Subject.BUILD, build_id, "cancel", "Cancelled.")
    _changed(ctx)
    return await find(ctx, build_id)


async def claim(ctx: Context) -> Build | None:
    """The next build, now running; None when none is queued."""
    async with ctx.store.write() as db:
        return await builds.claim(db, ctx.owner)


async def recover(ctx: Context) -> None:
    """What this server was building when it died is queued once more, then given up."""
    async with ctx.store.write() as db:
        again, failed = await builds.recover(db, ctx.owner, _MOST_ATTEMPTS)
        for build_id in again:
            await journal.add(db, Subject.BUILD, build_id, "again", "The server died while it built this: again.")
        for build_id in failed:
            await journal.add(db, Subject.BUILD, build_id, "failed", "Given up: the server died again.")
    _changed(ctx)


async def note(ctx: Context, build_id: int, step: str, text: str) -> None:
    """A line of the build's log."""
    await note_all(ctx, build_id, [(step, text)])


async def note_all(ctx: Context, build_id: int, lines: Sequence[tuple[str, str]]) -> None:
    """Lines of the build's log, each with its step, in one transaction. No secret of the app is in them."""
    redactor = await _redactor(ctx, build_id)
    shown = [(step, _cut(redactor.text(text))) for step, text in lines]
    async with ctx.store.write() as db:
        await journal.add_all(db, Subject.BUILD, build_id, shown)
    ctx.journal_grew.set()


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]} … ({len(text)} characters)"


async def steps(ctx: Context, build_id: int) -> Sequence[journal.Step]:
    """What the build did, step by step, in the order in which the steps began. Raises: NotFound."""
    async with ctx.store.read() as db:
        await found(db, build_id)
        return await journal.steps(db, Subject.BUILD, build_id)


async def reported(ctx: Context, build_id: int, summary: str, xml: bytes) -> None:
    """The JUnit report of the build's tests is kept with it. No secret of the app is in it."""
    redactor = await _redactor(ctx, build_id)
    xml = redactor.text(xml.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    async with ctx.store.write() as db:
        await reports.keep(db, build_id, summary, xml)


async def report(ctx: Context, build_id: int) -> tuple[str, bytes]:
    """Its summary, and the report itself. Raises: NotFound."""
    async with ctx.store.read() as db:
        await found(db, build_id)
        kept = await reports.find(db, build_id)
    if kept is None:
        raise errors.NotFound(f"Build {build_id} has no report.", hint="test.report in pier.yaml says where one is.")
    return kept


async def resolved(ctx: Context, build_id: int, commit: str, subject: str) -> None:
    """It is known which commit the ref means."""
    async with ctx.store.write() as db:
        await builds.update(db, build_id, commit=commit, subject=subject)


async def failed(ctx: Context, build_id: int, error: errors.PierError) -> None:
    """The build has ended without an image. No secret of the app is in the reason."""
    reason = (await _redactor(ctx, build_id)).text(str(error))
    async with ctx.store.write() as db:
        if await builds.finish(db, build_id, BuildState.FAILED, reason=reason):
            await journal.add(db, Subject.BUILD, build_id, "failed", reason)
    _changed(ctx)


async def _redactor(ctx: Context, build_id: int) -> Redactor:
    async with ctx.store.read() as db:
        app = (await found(db, build_id)).app
    return await redaction.of(ctx, app)


def _changed(ctx: Context) -> None:
    ctx.build_wanted.set()
    ctx.journal_grew.set()
