"""What an app's instances wrote, from the engines of their nodes."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pierhead.control import apps, instances, redaction, sources
from pierhead.control.context import Context
from pierhead.control.redaction import Redactor
from pierhead.control.sources import Following, Problem, Source
from pierhead.kit import clock, errors
from pierhead.wire.channel import objects
from pierhead.wire.docker.services import Service

_PATIENCE = timedelta(seconds=5)
_LAST_LIMIT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class LogLine:
    at: str
    """When the engine got it, in nanoseconds: `2026-11-23T06:10:15.123456789Z`."""
    instance: str
    """The container's id."""
    release: str
    stream: str
    """`stdout` or `stderr`."""
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    follow: bool = False
    """And what comes, also of instances that start later."""
    tail: int | None = None
    """Of each instance only so many of the last lines."""
    since: datetime | None = None


@dataclass(slots=True)
class _Place:
    """How far the reader of one container is: so many lines of that moment, and all before it."""

    at: str = ""
    count: int = 0
    tail: int | None = None

    def pass_(self, at: str) -> None:
        self.count = self.count + 1 if at == self.at else 1
        self.at, self.tail = at, None


async def lines(ctx: Context, app: str, environment: str, wanted: Wanted) -> AsyncIterator[LogLine | Problem]:
    """The last lines of every instance of the app there in the order of their time, or what comes as it comes.

    No secret of the app is in them.
    Raises: NotFound, Unavailable (of none of the instances anything can be known).
    """
    await apps.place(ctx, app, environment)
    if wanted.follow:
        return _shown(ctx, app, environment, _followed(ctx, app, environment, wanted))
    there = await sources.found(ctx, app, environment)
    return _shown(ctx, app, environment, await _past(ctx, there, wanted, _PATIENCE))


async def last(ctx: Context, service: Service, count: int) -> list[str]:
    """What `tail` promises, as far as their nodes answer now."""
    try:
        return await tail(ctx, service, count)
    except errors.Unavailable:
        return []


async def tail(ctx: Context, service: Service, count: int) -> list[str]:
    """The last lines that the service's containers wrote, ended ones included. No secret is in them.

    Raises: Unavailable (their nodes do not answer in time).
    """
    app, environment = instances.place(service.labels)
    there = (await instances.cluster(ctx, app, environment)).tasks.get(service.id, ())
    mine = [sources.source(service, task) for task in there if task.container]
    try:
        async with asyncio.timeout(_LAST_LIMIT.total_seconds()):
            found = await _past(ctx, mine, Wanted(tail=count), timedelta(0))
            texts = [line.text async for line in found if isinstance(line, LogLine)]
    except TimeoutError as error:
        raise errors.Unavailable("What the containers wrote was not told in time.") from error
    redactor = await redaction.of(ctx, app, environment)
    return [redactor.text(text) for text in texts[-count:]]


async def _shown(
    ctx: Context, app: str, environment: str, found: AsyncIterator[LogLine | Problem]
) -> AsyncIterator[LogLine | Problem]:
    """Without secrets. An instance that is new may have been delivered what nobody knew when the first one was read."""
    known: set[str] = set()
    redactor = Redactor()
    async for one in found:
        if isinstance(one, LogLine):
            if one.instance not in known:
                known.add(one.instance)
                redactor = await redaction.of(ctx, app, environment)
            one = replace(one, text=redactor.text(one.text))
        yield one


# What is there


async def _past(
    ctx: Context, there: Sequence[Source], wanted: Wanted, patience: timedelta
) -> AsyncIterator[LogLine | Problem]:
    """Raises: Unavailable (none can be read)."""
    deadline = clock.now() + patience
    streams, problems = [], []
    for one in there:
        left = max(timedelta(0), deadline - clock.now())
        try:
            streams.append(await _started(_read(ctx, one, wanted, _begin(wanted), left)))
        except errors.Unavailable as error:
            problems.append(Problem(one.container, error.message, error.hint))
    if problems and not streams:
        raise errors.Unavailable(problems[0].message, hint=problems[0].hint)
    return _in_order(problems, streams)


async def _started(lines: AsyncIterator[LogLine]) -> AsyncIterator[LogLine]:
    """The same lines; what prevents the first one is raised here, except that its container has gone."""
    try:
        first = await anext(lines, None)
    except (errors.NotFound, errors.Conflict):
        first = None

    async def all_() -> AsyncIterator[LogLine]:
        if first:
            yield first
            async for line in lines:
                yield line

    return all_()


async def _in_order(
    problems: Sequence[Problem], streams: Sequence[AsyncIterator[LogLine]]
) -> AsyncIterator[LogLine | Problem]:
    for problem in problems:
        yield problem
    heads = [(line.at, number, line) for number, one in enumerate(streams) if (line := await anext(one, None))]
    heapq.heapify(heads)
    while heads:
        _, number, line = heads[0]
        yield line
        try:
            after = await anext(streams[number], None)
        except errors.Unavailable as error:
            after = None
            yield Problem(line.instance, error.message, error.hint)
        if after:
            heapq.heapreplace(heads, (after.at, number, after))
        else:
            heapq.heappop(heads)


# What comes


def _followed(ctx: Context, app: str, environment: str, wanted: Wanted) -> AsyncIterator[LogLine | Problem]:
    places: dict[str, _Place] = {}
    is_first = True

    async def look() -> AsyncIterator[list[Source]]:
        nonlocal is_first
        async for there in sources.looks(ctx, app, environment):
            for one in there:
                places.setdefault(one.container, _begin(wanted if is_first else replace(wanted, tail=None)))
            yield there
            is_first = is_first and not there

    def read(one: Source) -> AsyncIterator[LogLine]:
        return _read(ctx, one, wanted, places[one.container], _PATIENCE)

    return Following(look, read).items()


def _begin(wanted: Wanted) -> _Place:
    return _Place(clock.text(wanted.since) if wanted.since else "", 0, wanted.tail)


async def _read(
    ctx: Context, one: Source, wanted: Wanted, place: _Place, patience: timedelta
) -> AsyncIterator[LogLine]:
    """From its place on, which moves. Raises: NotFound (it has gone), Unavailable (its node is not connected)."""
    body = {
        "kind": "logs",
        "container": one.container,
        "follow": wanted.follow,
        "tail": place.tail,
        "since": place.at,
        "count": place.count,
    }
    async with aclosing(objects.received(await ctx.channels.open(one.where, body, patience))) as found:
        async for value in found:
            place.pass_(value["at"])
            yield LogLine(value["at"], one.container, one.release, value["stream"], value["text"])
