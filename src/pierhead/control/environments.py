"""Environments: made, changed and removed by people."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pierhead.control.context import Context
from pierhead.kit import clock, errors
from pierhead.model.app import NAME
from pierhead.model.environment import STANDARD, Environment
from pierhead.store import apps, environments

_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_./-]{0,126}[A-Za-z0-9])?")
"""What a label of a node may be called."""


async def listing(ctx: Context) -> Sequence[Environment]:
    """The standard ones and those that were made, and those that `pier.yaml` files brought."""
    async with ctx.store.read() as db:
        found = dict(await environments.known(db))
        for place in await apps.environments(db):
            found.setdefault(place.name, Environment(place.name))
    return list(found.values())


async def names(ctx: Context) -> Sequence[str]:
    """Environments that an app can be deployed to without naming them in its file."""
    async with ctx.store.read() as db:
        return list(await environments.known(db))


async def find(ctx: Context, name: str) -> Environment:
    """Raises: NotFound."""
    for found in await listing(ctx):
        if found.name == name:
            return found
    raise errors.NotFound(f"There is no environment {name!r}.", hint="`pier environment list` shows them.")


async def create(ctx: Context, environment: Environment) -> Environment:
    """Apps can be deployed to it. Raises: Invalid, Conflict (there is one of that name)."""
    _check(environment)
    if environment.name in await names(ctx):
        raise errors.Conflict(
            f"There is an environment {environment.name} already.", hint="`pier environment set` changes it."
        )
    return await put(ctx, environment)


async def put(ctx: Context, environment: Environment) -> Environment:
    """This holds there: approvals and freezes at once, the rest from the next release on. Raises: Invalid."""
    _check(environment)
    async with ctx.store.write() as db:
        await environments.put(db, environment)
    ctx.release_wanted.set()
    return environment


async def remove(ctx: Context, name: str) -> None:
    """Nothing can be deployed to it any more. Raises: NotFound, Conflict (it is a standard one; apps are there)."""
    await find(ctx, name)
    if name in STANDARD:
        raise errors.Conflict(f"{name} is always there.", hint="`pier environment set` changes what holds there.")
    async with ctx.store.write() as db:
        there = [place.app for place in await apps.environments(db) if place.name == name and place.release_id]
        if there:
            raise errors.Conflict(
                f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} released in {name}.",
                hint="`pier remove APP` ends an app first.",
            )
        await environments.delete(db, name)


def _check(environment: Environment) -> None:
    problems = []
    if not NAME.fullmatch(environment.name):
        reason = f"{environment.name!r} is no name: lower-case letters, digits and `-`, a letter first, at most 40"
        problems.append(errors.Problem("name", reason))
    if environment.domain and not _DOMAIN.fullmatch(environment.domain):
        problems.append(errors.Problem("domain", f"{environment.domain!r} is no DNS name"))
    if environment.replicas is not None and not 0 <= environment.replicas <= 500:
        problems.append(errors.Problem("replicas", "0 to 500"))
    if not 0 <= environment.approvals <= 20:
        problems.append(errors.Problem("approvals", "0 to 20"))
    odd = [key for key in environment.labels if not LABEL.fullmatch(key)]
    problems += [errors.Problem(f"labels.{key}", "is no name of a label") for key in odd]
    for freeze in environment.freezes:
        try:
            freeze.until(clock.now())
        except ValueError as error:
            problems.append(errors.Problem("freezes", str(error)))
    if problems:
        raise errors.Invalid("The environment was not changed.", problems=problems)
