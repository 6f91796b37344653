"""One task per endpoint that is probed, and what they have seen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pierhead.agent import health, probes
from pierhead.agent.endpoint import Endpoint
from pierhead.agent.health import Health
from pierhead.agent.probes import Means


@dataclass(slots=True)
class _Prober:
    endpoint: Endpoint
    started_at: datetime
    health: Health
    task: asyncio.Task[None] = field(init=False)


class Probers:
    """What is seen of an endpoint counts only for the start of the container, and the address, that it was seen of."""

    def __init__(self, group: asyncio.TaskGroup, means: Means, changed: Callable[[str], None]) -> None:
        """`changed` is called with the container's id when one of its endpoints passes or fails in another way."""
        self._group = group
        self._means = means
        self._changed = changed
        self._all: dict[str, dict[str, _Prober]] = {}

    def keep(
        self, container: str, started_at: datetime, endpoints: Iterable[Endpoint], passing: Collection[str]
    ) -> Mapping[str, Health]:
        """Exactly these endpoints of the container are probed; what is known of each.

        `passing`: those that count as passing until they have failed, unless the container was started anew.
        """
        before = self._all.pop(container, {})
        now: dict[str, _Prober] = {}
        for endpoint in endpoints:
            if not endpoint.probe.is_asked:
                continue
            known = before.get(endpoint.id)
            if known and (known.endpoint, known.started_at) == (endpoint, started_at):
                now[endpoint.id] = before.pop(endpoint.id)
            else:
                is_same_run = known is None or known.started_at == started_at
                begun = health.start(endpoint.probe, is_passing=is_same_run and endpoint.id in passing)
                now[endpoint.id] = self._begin(container, _Prober(endpoint, started_at, begun))
        for prober in before.values():
            prober.task.cancel()
        if now:
            self._all[container] = now
        return {key: prober.health for key, prober in now.items()}

    def stop(self, container: str) -> None:
        """None of its endpoints is probed. Idempotent."""
        for prober in self._all.pop(container, {}).values():
            prober.task.cancel()

    def _begin(self, container: str, prober: _Prober) -> _Prober:
        prober.task = self._group.create_task(self._run(container, prober))
        return prober

    async def _run(self, container: str, prober: _Prober) -> None:
        probe, loop = prober.endpoint.probe, asyncio.get_running_loop()
        while True:
            answer = await probes.ask(self._means, prober.endpoint, probe)
            before, prober.health = prober.health, health.after(prober.health, answer, probe)
            if (before.status, before.output) != (prober.health.status, prober.health.output):
                self._changed(container)
            now = loop.time()
            due = health.due(now, health.interval(prober.health, probe), random.random())  # noqa: S311
            await asyncio.sleep(due - now)
