"""What containers wrote. Source: Docker Engine API, Get service logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote

from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.frames import frames

_TASK = "com.docker.swarm.task.id"


@dataclass(frozen=True, slots=True)
class Line:
    task: str
    """The task's id."""
    is_error: bool
    """It is of standard error."""
    text: str


async def service(engine: Engine, service_id: str, *, follow: bool, tail: int) -> AsyncIterator[Line]:
    """The last `tail` lines of each container of the service, and what comes. Raises: NotFound."""
    query = {"stdout": "true", "stderr": "true", "details": "true", "follow": follow, "tail": str(tail)}
    async with engine.stream("GET", f"/services/{service_id}/logs", query) as response:
        async for frame in frames(response.content):
            details, _, text = frame.data.decode(errors="replace").partition(" ")
            found = dict(pair.partition("=")[::2] for pair in details.split(","))
            yield Line(unquote(found.get(_TASK, "")), frame.is_error, text.rstrip("\r\n"))
