"""Queued builds are built: fetched, recognised, put together, pushed, and proposed as releases."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from pierhead import appfile
from pierhead.build import image, source, started
from pierhead.build.source import Commit
from pierhead.control import accesses, builds, releases
from pierhead.control.context import Context
from pierhead.kit import errors, tasks
from pierhead.kit.backoff import Backoff
from pierhead.model.app import Spec
from pierhead.model.build import Build, BuildState
from pierhead.store.releases import Image

_log = logging.getLogger(__name__)
_LOOK_AGAIN = timedelta(seconds=5)
_APP_FILE = "pier.yaml"
STANDARD_ENVIRONMENTS = ("dev", "staging", "production")


async def run(ctx: Context) -> None:
    """The queue is worked off, `build.concurrency` builds at once, until cancelled."""
    await builds.recover(ctx)
    async with asyncio.TaskGroup() as group:
        for number in range(ctx.settings.build.concurrency):
            group.create_task(_worker(ctx), name=f"builder-{number}")


async def _worker(ctx: Context) -> None:
    backoff = Backoff()
    while True:
        try:
            if build := await builds.claim(ctx):
                await _perform(ctx, build)
            else:
                await ctx.build_wanted.wait(_LOOK_AGAIN)
            backoff.succeeded()
        except Exception:
            _log.exception("The build queue could not be worked on.")
            await asyncio.sleep(backoff.failed())


async def _perform(ctx: Context, build: Build) -> None:
    """The build has ended: succeeded, failed with its reason, or cancelled by whoever asked for that.

    What was uploaded for it is kept until then: a build whose server dies is done again.
    """
    limit = ctx.settings.build.timeout
    try:
        async with asyncio.timeout(limit.total_seconds()):
            if not await tasks.unless(_cancelled(ctx, build.id), _build(ctx, build)):
                _log.info("Stopped a cancelled build.", extra={"build": build.id})
    except TimeoutError:
        reason = f"The build took longer than {limit.total_seconds():g} s."
        await builds.failed(ctx, build.id, errors.Failed(reason, hint="The setting build.timeout is the limit."))
    except errors.PierError as error:
        await builds.failed(ctx, build.id, error)
    except Exception as error:
        await builds.failed(ctx, build.id, errors.Broken(f"Pierhead failed at this build: {error!r}"))
        raise
    if build.source.startswith(builds.UPLOAD):
        await asyncio.to_thread(builds.bundle(ctx, build.source).unlink, missing_ok=True)


async def _cancelled(ctx: Context, build_id: int) -> None:
    """Returns when somebody has cancelled the build."""
    while (await builds.find(ctx, build_id)).state is not BuildState.CANCELLED:
        await ctx.journal_grew.wait(_LOOK_AGAIN)


async def _build(ctx: Context, build: Build) -> None:
    async def log(step: str, text: str) -> None:
        await builds.note(ctx, build.id, step, text)

    repository = ctx.settings.home / "git" / f"{build.app}.git"
    await log("fetch", f"{build.ref} of {'the upload' if build.source.startswith(builds.UPLOAD) else build.source}")
    commit = await _fetch(ctx, build)
    await builds.resolved(ctx, build.id, commit.id, commit.subject)
    await log("commit", f"{commit.id[:10]} {commit.subject}")
    text = await source.read(repository, commit.id, _APP_FILE)
    spec = _spec(build, text)
    told = ctx.settings.build
    request = image.Request(
        app=build.app,
        commit=commit,
        repository=repository,
        spec=spec.build,
        registry=ctx.settings.registry_address,
        engine=ctx.engine,
        limits=image.Limits(told.cpus, told.memory_bytes, told.repository_bytes),
    )
    made = await image.build_and_push(request, log)
    file = (text or b"").decode(errors="replace")
    config = await started.config(made.reference)
    await releases.propose(ctx, build, spec, Image(made.reference, commit.id, commit.subject, file, config))


async def _fetch(ctx: Context, build: Build) -> Commit:
    repository = ctx.settings.home / "git" / f"{build.app}.git"
    how = source.How(await accesses.reveal(ctx, build.app), ctx.settings.build.repository_bytes)
    if build.source.startswith(builds.UPLOAD):
        return await source.receive(repository, builds.bundle(ctx, build.source), build.ref, how)
    return await source.fetch(repository, build.source, build.ref, how)


def _spec(build: Build, text: bytes | None) -> Spec:
    """What the commit's app file says for the build's environment. Raises: Invalid."""
    if text is None:
        raise errors.Invalid(
            f"The commit has no {_APP_FILE}.", hint="`pier init` writes one by looking at the repository; commit it."
        )
    file = appfile.read(text, _APP_FILE)
    known = dict.fromkeys([*STANDARD_ENVIRONMENTS, *file.environments()])
    if build.environment and build.environment not in known:
        raise errors.Invalid(
            f"There is no environment {build.environment!r}: {', '.join(known)}.",
            hint=f"Name it in {_APP_FILE} under `environments` to have it.",
        )
    spec = file.spec(build.environment)
    if spec.app != build.app:
        raise errors.Invalid(
            f"{_APP_FILE} is of the app {spec.app!r}, and this is a build of {build.app!r}.",
            hint=f"Deploy it with `--app {spec.app}`, or change `app` in {_APP_FILE}.",
        )
    return spec
