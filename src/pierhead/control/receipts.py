"""Receipts: kept with their deployments."""

from __future__ import annotations

from pierhead.control import deployments, releases
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model.receipt import Receipt
from pierhead.store import receipts
from pierhead.store.deployments import Deployment


async def kept(ctx: Context, deployment_id: int) -> Receipt:
    """What is kept of it; an empty one before its first look."""
    async with ctx.store.read() as db:
        return await receipts.find(db, deployment_id) or Receipt()


async def keep(ctx: Context, deployment_id: int, receipt: Receipt) -> None:
    """It is what is kept of the deployment. Raises: Lost."""
    async with deployments.moving(ctx, deployment_id) as db:
        await receipts.put(db, deployment_id, receipt)


async def find(ctx: Context, app: str, deployment_id: int | None) -> tuple[Deployment, Receipt]:
    """The receipt of a deployment; None: of the app's newest one. Raises: NotFound."""
    if deployment_id is not None:
        deployment = await deployments.find(ctx, deployment_id)
        if deployment.app != app:
            raise errors.NotFound(f"Deployment {deployment_id} is one of {deployment.app}, not of {app}.")
        return deployment, await kept(ctx, deployment.id)
    await releases.listing(ctx, app)
    for deployment in await deployments.listing(ctx, app):
        return deployment, await kept(ctx, deployment.id)
    raise errors.NotFound(f"{app} has no deployment yet.", hint=f"`pier deploy` makes one; `pier ps {app}` shows it.")
