"""What an instance is and uses, as its node's engine says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from pierhead.control import instances, redaction, releases, sources
from pierhead.control.context import Context
from pierhead.control.sources import Following, Problem, Source
from pierhead.kit import errors, tasks
from pierhead.wire.channel import objects


@dataclass(frozen=True, slots=True)
class Use:
    """What one instance uses."""

    instance: str
    app: str
    environment: str
    release: str
    at: str
    cpus: float
    """Processors that were kept busy for the last second."""
    memory_bytes: int
    memory_limit_bytes: int
    received_bytes: int
    """Since it started, as are the next three."""
    sent_bytes: int
    read_bytes: int
    written_bytes: int
    processes: int


async def inspect(ctx: Context, name: str) -> dict[str, Any]:
    """What the instance is, without any secret. Raises: NotFound, Invalid, Unavailable (its node is not connected)."""
    found = await instances.find(ctx, name)
    body = {"kind": "inspection", "container": found.id, "secrets": await _secrets(ctx, found)}
    redactor = await redaction.of(ctx, found.app, found.environment)
    async with aclosing(objects.received(await ctx.channels.open(found.where, body))) as answer:
        async for value in answer:
            return {"app": found.app, "environment": found.environment, "release": found.release} | {
                "node": found.node,
                **redactor.document(value),
            }
    raise errors.Broken(f"The agent of {found.node} said nothing about {name}.")


async def use(ctx: Context, app: str, environment: str) -> AsyncIterator[Use | Problem]:
    """What each running instance of one app and environment, or of all, uses now. Raises: Unavailable."""
    there = [one for one in await sources.found(ctx, app, environment) if one.is_running]
    return tasks.merged([_or_problem(ctx, one) for one in there])


def follow(ctx: Context, app: str, environment: str) -> AsyncIterator[Use | Problem]:
    """The same every second, also of instances that start later."""

    async def look() -> AsyncIterator[list[Source]]:
        async for there in sources.looks(ctx, app, environment):
            yield [one for one in there if one.is_running]

    return Following(look, lambda one: _use(ctx, one, is_followed=True)).items()


async def _secrets(ctx: Context, found: instances.Instance) -> list[str]:
    """The names of variables that its release says are secrets."""
    number = found.release.removeprefix("v")
    release = await releases.numbered(ctx, found.app, found.environment, int(number)) if number.isdecimal() else None
    return list(release.spec.all_secrets) if release else []


async def _or_problem(ctx: Context, one: Source) -> AsyncIterator[Use | Problem]:
    try:
        async for found in _use(ctx, one, is_followed=False):
            yield found
    except (errors.NotFound, errors.Conflict):  # it has ended
        return
    except errors.Unavailable as error:
        yield Problem(one.container, error.message, error.hint)


async def _use(ctx: Context, one: Source, *, is_followed: bool) -> AsyncIterator[Use]:
    body = {"kind": "stats", "container": one.container, "follow": is_followed}
    async with aclosing(objects.received(await ctx.channels.open(one.where, body))) as found:
        async for value in found:
            yield Use(one.container, one.app, one.environment, one.release, **value)
