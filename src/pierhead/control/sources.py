"""What every instance of an app there tells, as one: also those that start later, and what cannot be known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from pierhead.control import instances
from pierhead.control.channels import Where
from pierhead.control.context import Context
from pierhead.kit import errors, tasks
from pierhead.kit.backoff import Backoff
from pierhead.model.instance import Label
from pierhead.wire.docker.services import Service
from pierhead.wire.docker.tasks import Task

T = TypeVar("T")

_LOOK = timedelta(seconds=1)
_ROOM = 1000


@dataclass(frozen=True, slots=True)
class Source:
    """One container that there is, or was."""

    app: str
    environment: str
    release: str
    container: str
    engine_node: str
    is_running: bool

    @property
    def where(self) -> Where:
        return Where(engine_node=self.engine_node)


@dataclass(frozen=True, slots=True)
class Problem:
    """An instance that cannot tell."""

    instance: str
    message: str
    hint: str


async def found(ctx: Context, app: str, environment: str) -> list[Source]:
    """Every container of the present and the recent past, of all releases and runs. Raises: Unavailable."""
    there = await instances.cluster(ctx, app, environment)
    runs = [one for jobs in there.jobs.values() for one in jobs if Label.RUN in one.labels]
    return [
        source(service, task)
        for services in [*there.services.values(), runs]
        for service in services
        for task in there.tasks.get(service.id, ())
        if task.container
    ]


def source(service: Service, task: Task) -> Source:
    app, environment = instances.place(service.labels)
    release = service.labels.get(Label.RELEASE, "")
    return Source(app, environment, release, task.container, task.node, task.is_running)


class Following(Generic[T]):
    """Reads every source from when it is there. `read` may be called again for one whose node was lost for a while."""

    def __init__(self, look: Callable[[], AsyncIterator[Iterable[Source]]], read: Callable[[Source], AsyncIterator[T]]):
        self._look, self._read = look, read
        self._queue: asyncio.Queue[T | Problem | BaseException] = asyncio.Queue(_ROOM)

    async def items(self) -> AsyncIterator[T | Problem]:
        """For ever. What is not taken is not read: a slow reader holds up its own sources only."""
        known: set[str] = set()
        async with tasks.Crew() as crew:
            crew.begin(self._watch(crew, known), self._failed)
            while True:
                item = await self._queue.get()
                if isinstance(item, BaseException):
                    raise item
                yield item

    async def _watch(self, crew: tasks.Crew, known: set[str]) -> None:
        async for there in self._look():
            for one in there:
                if one.container not in known:
                    known.add(one.container)
                    crew.begin(self._pump(one), self._failed)

    async def _pump(self, source: Source) -> None:
        backoff, told = Backoff(limit=timedelta(seconds=5)), ""
        while True:
            try:
                async for item in self._read(source):
                    told = ""
                    backoff.succeeded()
                    await self._queue.put(item)
            except (errors.NotFound, errors.Conflict):  # it has gone
                return
            except errors.Unavailable as error:
                if told != error.message:
                    told = error.message
                    await self._queue.put(Problem(source.container, error.message, error.hint))
                await asyncio.sleep(backoff.failed())
            else:
                return

    def _failed(self, error: BaseException | None) -> None:
        if error is not None:
            if self._queue.full():
                self._queue.get_nowait()
            self._queue.put_nowait(error)


async def looks(ctx: Context, app: str, environment: str) -> AsyncIterator[list[Source]]:
    """What is there, every second; while the engine does not answer, nothing new."""
    while True:
        try:
            there = await found(ctx, app, environment)
        except errors.Unavailable:
            there = []
        yield there
        await asyncio.sleep(_LOOK.total_seconds())
