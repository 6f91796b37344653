"""Queued builds are built: fetched, recognised, put together, pushed, and proposed as releases."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Sequence
from datetime import timedelta

from pierhead import appfile
from pierhead.build import compression, image, kitchen, source, started
from pierhead.build.source import Commit
from pierhead.build.transcript import Transcript
from pierhead.control import accesses, builds, environments, registry, releases, secrets
from pierhead.control.context import Context
from pierhead.kit import errors, tasks, units
from pierhead.kit.backoff import Backoff
from pierhead.model.app import Spec
from pierhead.model.build import Build, BuildState
from pierhead.model.environment import STANDARD
from pierhead.store.releases import Image
from pierhead.wire.docker import swarm

_log = logging.getLogger(__name__)
_LOOK_AGAIN = timedelta(seconds=5)
_LOOK = timedelta(milliseconds=500)
"""How long a cancelled build may go unnoticed."""
_TOGETHER = timedelta(milliseconds=100)
"""Lines of that time are written at once."""
_APP_FILE = "pier.yaml"


async def run(ctx: Context) -> None:
    """The queue is worked off, `build.concurrency` builds at once, until cancelled."""
    await builds.recover(ctx)
    await _without_remains(ctx)
    async with asyncio.TaskGroup() as group:
        for number in range(ctx.settings.build.concurrency):
            group.create_task(_worker(ctx), name=f"builder-{number}")


async def _without_remains(ctx: Context) -> None:
    """No container of this server's builds runs, of which none is being built."""
    backoff = Backoff()
    while True:
        try:
            await kitchen.clear(ctx.engine, ctx.owner)
        except errors.PierError as error:
            _log.warning("Containers of earlier builds could not be looked for: %s", error.message)
            await asyncio.sleep(backoff.failed())
        else:
            return


async def _worker(ctx: Context) -> None:
    backoff = Backoff()
    while True:
        try:
            async with ctx.registry_quiet:
                build = await builds.claim(ctx)
            if build:
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
    transcript = Transcript(ctx, build.id)
    failure = await _outcome(ctx, build, transcript)
    await transcript.flush()
    if failure:
        await tasks.whole(builds.failed(ctx, build.id, failure))
        await registry.forget_uploads(ctx)
    if build.source.startswith(builds.UPLOAD):
        await asyncio.to_thread(builds.bundle(ctx, build.source).unlink, missing_ok=True)


async def _outcome(ctx: Context, build: Build, transcript: Transcript) -> errors.PierError | None:
    """Why it failed; None when it succeeded or was cancelled. Nothing of it runs any more."""
    limit = ctx.settings.build.timeout
    try:
        async with asyncio.timeout(limit.total_seconds()):
            if not await tasks.unless(_attended(ctx, build.id, transcript), _build(ctx, build, transcript)):
                _log.info("Stopped a cancelled build.", extra={"build": build.id})
    except TimeoutError:
        reason = f"The build took longer than {limit.total_seconds():g} s."
        return errors.Failed(reason, hint="The setting build.timeout is the limit.")
    except errors.PierError as error:
        return error
    except Exception as error:
        _log.exception("A build failed by Pierhead's own doing.", extra={"build": build.id})
        return errors.Broken(f"Pierhead failed at this build: {error!r}")
    return None


async def _attended(ctx: Context, build_id: int, transcript: Transcript) -> None:
    """What the build writes is kept soon. Returns when somebody has cancelled it."""
    while (await builds.find(ctx, build_id)).state is not BuildState.CANCELLED:
        await transcript.grew(_LOOK)
        await asyncio.sleep(_TOGETHER.total_seconds())
        await transcript.flush()


async def _build(ctx: Context, build: Build, transcript: Transcript) -> None:
    log = transcript.add
    await _room(ctx, transcript)
    repository = ctx.settings.home / "git" / f"{build.app}.git"
    await log("fetch", f"{build.ref} of {'the upload' if build.source.startswith(builds.UPLOAD) else build.source}")
    commit = await _fetch(ctx, build)
    await builds.resolved(ctx, build.id, commit.id, commit.subject)
    await log("commit", f"{commit.id[:10]} {commit.subject}")
    text = await source.read(repository, commit.id, _APP_FILE)
    spec = _spec(build, text, await environments.names(ctx))
    told = ctx.settings.build
    request = image.Request(
        app=build.app,
        commit=commit,
        repository=repository,
        spec=spec.build,
        registry=registry.access(ctx.settings),
        engine=ctx.engine,
        limits=image.Limits(told.cpus, told.memory_bytes, told.repository_bytes),
        source="" if build.source.startswith(builds.UPLOAD) else build.source,
        secrets=await secrets.for_build(ctx, build.app, build.environment or STANDARD[0], spec.build.secrets),
        owner=ctx.owner,
        compression=await _compression(ctx),
    )
    made = await image.build_and_push(request, log)
    if outcome := await image.tried(request, made, log):
        if outcome.xml:
            await builds.reported(ctx, build.id, str(outcome.report or ""), outcome.xml)
        if outcome.failure:
            raise outcome.failure
    file = (text or b"").decode(errors="replace")
    config = await started.config(request.registry, made.reference)
    await transcript.flush()
    found = Image(made.reference, commit.id, commit.subject, file, config)
    await releases.propose(ctx, build, spec, found)


async def _compression(ctx: Context) -> str:
    """The one that the settings say, which every node's engine reads. Raises: Conflict, Unavailable."""
    told = ctx.settings.build.compression
    if told != compression.GZIP:
        found = await swarm.nodes(ctx.engine)
        compression.require(told, {node.host_name: node.engine_version for node in found})
    return told


async def _room(ctx: Context, transcript: Transcript) -> None:
    """The disk has room for a build; when little is left, the log says so. Raises: Unavailable."""
    told, home = ctx.settings.build, ctx.settings.home
    free = (await asyncio.to_thread(shutil.disk_usage, home)).free
    left = f"The disk of {home} has {free >> 20} MiB left"
    hint = "`pier prune` tells which images could go."
    if free < told.least_free_bytes:
        raise errors.Unavailable(
            f"{left}: nothing is built below {units.size_text(told.least_free_bytes)}.",
            hint=f"{hint} The setting build.least_free_bytes is the limit.",
        )
    if free < told.low_free_bytes:
        await transcript.add("disk", f"{left}. {hint}")


async def _fetch(ctx: Context, build: Build) -> Commit:
    repository = ctx.settings.home / "git" / f"{build.app}.git"
    how = source.How(await accesses.reveal(ctx, build.app), ctx.settings.build.repository_bytes)
    if build.source.startswith(builds.UPLOAD):
        return await source.receive(repository, builds.bundle(ctx, build.source), build.ref, how)
    return await source.fetch(repository, build.source, build.ref, how)


def _spec(build: Build, text: bytes | None, known: Sequence[str]) -> Spec:
    """What the commit's app file says for the build's environment. Raises: Invalid."""
    if text is None:
        raise errors.Invalid(
            f"The commit has no {_APP_FILE}.", hint="`pier init` writes one by looking at the repository; commit it."
        )
    file = appfile.read(text, _APP_FILE)
    known = list(dict.fromkeys([*known, *file.environments()]))
    if build.environment and build.environment not in known:
        raise errors.Invalid(
            f"There is no environment {build.environment!r}: {', '.join(known)}.",
            hint=f"`pier environment create {build.environment}` makes one, or name it in {_APP_FILE}.",
        )
    spec = file.spec(build.environment or STANDARD[0])
    if spec.app != build.app:
        raise errors.Invalid(
            f"{_APP_FILE} is of the app {spec.app!r}, and this is a build of {build.app!r}.",
            hint=f"Deploy it with `--app {spec.app}`, or change `app` in {_APP_FILE}.",
        )
    return spec
