"""What an app's instances wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from pierhead.control import apps, instances
from pierhead.control.context import Context
from pierhead.kit import tasks
from pierhead.wire.docker import logs
from pierhead.wire.docker.services import Service


@dataclass(frozen=True, slots=True)
class LogLine:
    instance: str
    """The container's id; the task's where there is none any more."""
    stream: str
    """`stdout` or `stderr`."""
    text: str


async def lines(ctx: Context, app: str, environment: str, *, follow: bool, tail: int) -> AsyncIterator[LogLine]:
    """The last `tail` lines of every instance of the app there, and what comes. Raises: NotFound."""
    await apps.place(ctx, app, environment)
    there = await instances.cluster(ctx)
    mine = there.services.get((app, environment), ())
    containers = {task.id: task.container for one in mine for task in there.tasks.get(one.id, ())}
    sources = [logs.service(ctx.engine, one.id, follow=follow, tail=tail) for one in mine]
    return _named(tasks.merged(sources), containers)


async def last(ctx: Context, service: Service, count: int) -> list[str]:
    """The last lines that the service's containers wrote, ended ones included."""
    found = [line.text async for line in logs.service(ctx.engine, service.id, follow=False, tail=count)]
    return found[-count:]


async def _named(found: AsyncIterator[logs.Line], containers: dict[str, str]) -> AsyncIterator[LogLine]:
    async for line in found:
        instance = containers.get(line.task) or line.task
        yield LogLine(instance, "stderr" if line.is_error else "stdout", line.text)
