"""Deployments: asked for by people, carried on by the release loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model.release import DeploymentState
from pierhead.store import apps, deployments, environments, journal
from pierhead.store.deployments import Deployment
from pierhead.store.journal import Subject
from pierhead.store.session import Connection


class Lost(errors.Conflict):
    """Another server moves it by now."""


@asynccontextmanager
async def moving(ctx: Context, deployment_id: int) -> AsyncIterator[Connection]:
    """A transaction of the server that moves the deployment. Who was so slow that another took over changes nothing.

    Raises: Lost.
    """
    async with ctx.store.write() as db:
        if await deployments.mover(db, deployment_id) not in (None, ctx.owner):
            raise Lost(f"Another server moves deployment {deployment_id} by now.")
        yield db


async def find(ctx: Context, deployment_id: int) -> Deployment:
    """Raises: NotFound."""
    async with ctx.store.read() as db:
        deployment = await deployments.find(db, deployment_id)
    if deployment is None:
        raise errors.NotFound(f"There is no deployment {deployment_id}.")
    return deployment


async def listing(ctx: Context, app: str, environment: str = "") -> Sequence[Deployment]:
    """The newest first."""
    async with ctx.store.read() as db:
        return await deployments.listing(db, app, environment)


async def cancel(ctx: Context, deployment_id: int, author: str) -> Deployment:
    """The deployment has ended; the loop brings back what ran before. Raises: NotFound, Conflict (it had ended)."""
    before = await find(ctx, deployment_id)
    async with ctx.store.write() as db:
        if not await _end(db, deployment_id, DeploymentState.CANCELLED, f"Cancelled by {author}."):
            raise errors.Conflict(f"Deployment {deployment_id} has ended already: {before.state}.")
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return await find(ctx, deployment_id)


async def note(ctx: Context, deployment_id: int, step: str, text: str) -> None:
    """A line of the deployment's journal. Raises: Lost."""
    async with moving(ctx, deployment_id) as db:
        await journal.add(db, Subject.DEPLOYMENT, deployment_id, step, text)
    ctx.journal_grew.set()


async def stepped(ctx: Context, deployment_id: int, step: str, text: str, waits_for: str) -> None:
    """A line of the deployment's journal; it waits for that, or (empty) it gets further. Raises: Lost."""
    async with moving(ctx, deployment_id) as db:
        await journal.add(db, Subject.DEPLOYMENT, deployment_id, step, text)
        await deployments.set_reason(db, deployment_id, waits_for)
    ctx.journal_grew.set()


async def held_up(ctx: Context, reason: str) -> None:
    """Every deployment that this server moves, or that none does yet, waits for that."""
    async with ctx.store.write() as db:
        for deployment in await deployments.unfinished(db):
            mine = await deployments.mover(db, deployment.id) in (None, ctx.owner)
            if mine and deployment.reason != reason:
                await journal.add(db, Subject.DEPLOYMENT, deployment.id, "wait", reason)
                await deployments.set_reason(db, deployment.id, reason)
    ctx.journal_grew.set()


async def shared(ctx: Context, deployment_id: int, share: int) -> None:
    """Routes give the new release that percentage of the requests, from the next look on. Raises: Lost."""
    async with moving(ctx, deployment_id) as db:
        await deployments.set_share(db, deployment_id, share)


async def proceed(ctx: Context, deployment_id: int, author: str) -> Deployment:
    """It need not wait at its present share any more.

    Raises: NotFound, Conflict (it has no share yet, or had ended).
    """
    deployment = await find(ctx, deployment_id)
    if deployment.share is None and not deployment.state.has_ended:
        raise errors.Conflict(
            f"Deployment {deployment_id} does not pause for anybody to continue it: {deployment.reason or 'it moves'}",
            hint=f"`pier deployment show {deployment_id}` follows it.",
        )
    async with ctx.store.write() as db:
        if not await deployments.set_continued(db, deployment_id, deployment.share or 0):
            raise errors.Conflict(f"Deployment {deployment_id} has ended already: {deployment.state}.")
        await journal.add(db, Subject.DEPLOYMENT, deployment_id, "continue", f"{author} continues it.")
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return await find(ctx, deployment_id)


async def approve(ctx: Context, deployment_id: int, author: str) -> Deployment:
    """One more person lets it begin; the same one counts once.

    Raises: NotFound, Conflict (it had ended), Denied (it is the author's, and the environment wants others).
    """
    deployment = await find(ctx, deployment_id)
    async with ctx.store.write() as db:
        holds = await environments.find(db, deployment.environment)
        if not holds.may_approve(author, deployment.author):
            raise errors.Denied(
                f"{author} asked for deployment {deployment_id}, and {holds.name} wants it approved by others.",
                hint="Let somebody else look at it: `pier plan` and `pier deployment show` tell what it does.",
            )
        if not await deployments.approve(db, deployment_id, list(dict.fromkeys([*deployment.approvals, author]))):
            raise errors.Conflict(f"Deployment {deployment_id} has ended already: {deployment.state}.")
        await journal.add(db, Subject.DEPLOYMENT, deployment_id, "approve", f"{author} approves it.")
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return await find(ctx, deployment_id)


async def override(ctx: Context, deployment_id: int, author: str, reason: str) -> Deployment:
    """It may begin although its environment is frozen, for that reason, which is kept with it.

    Raises: NotFound, Invalid (no reason), Conflict (it had ended).
    """
    deployment = await find(ctx, deployment_id)
    if not reason.strip():
        raise errors.Invalid("Say why the freeze shall not hold.", hint="`--reason` is kept with the deployment.")
    async with ctx.store.write() as db:
        if not await deployments.set_override(db, deployment_id, f"{author}: {reason.strip()}"):
            raise errors.Conflict(f"Deployment {deployment_id} has ended already: {deployment.state}.")
        text = f"{author} lets it begin in a freeze: {reason.strip()}"
        await journal.add(db, Subject.DEPLOYMENT, deployment_id, "override", text)
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return await find(ctx, deployment_id)


async def hooked(ctx: Context, deployment: Deployment, name: str, said: str, lines: Sequence[str]) -> None:
    """A hook has ended: `succeeded`, or why it did not, and the last lines that it wrote. Raises: Lost."""
    async with moving(ctx, deployment.id) as db:
        if lines:
            await journal.add(db, Subject.DEPLOYMENT, deployment.id, "log", "\n".join(lines))
        await journal.add(db, Subject.DEPLOYMENT, deployment.id, name, said)
        await deployments.set_hooks(db, deployment.id, {**deployment.hooks, name: said})
    ctx.journal_grew.set()


async def succeeded(ctx: Context, deployment: Deployment, text: str) -> bool:
    """The environment has the new release. False when the deployment had ended otherwise, and nothing was changed.

    Raises: Lost.
    """
    async with moving(ctx, deployment.id) as db:
        if not await deployments.set_state(db, deployment.id, DeploymentState.SUCCEEDED):
            return False
        await apps.set_release(db, deployment.app, deployment.environment, deployment.to_release_id)
        await journal.add(db, Subject.DEPLOYMENT, deployment.id, "done", text)
    ctx.journal_grew.set()
    return True


async def end(ctx: Context, deployment_id: int, state: DeploymentState, reason: str) -> bool:
    """The deployment has ended without success. False when it had ended already. Raises: Lost."""
    async with moving(ctx, deployment_id) as db:
        ended = await _end(db, deployment_id, state, reason)
    ctx.journal_grew.set()
    return ended


async def _end(db: Connection, deployment_id: int, state: DeploymentState, reason: str) -> bool:
    if not await deployments.set_state(db, deployment_id, state, reason):
        return False
    await journal.add(db, Subject.DEPLOYMENT, deployment_id, state.value, reason)
    return True
