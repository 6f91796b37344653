"""An engine that is shut down asks its containers to stop, and takes no new connections meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.lab.agent_lab import Way, lab, until
from tests.lab.own_engine import own_engine

from pierhead.wire.docker import containers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]


async def test_an_engine_that_is_shut_down_lets_apps_end_after_their_last_request(tmp_path: Path) -> None:
    async with own_engine() as engine:
        await engine.start()
        async with lab(tmp_path, engine.socket) as one:
            gateway = await one.gateway("g1")
            await one.start()
            stop = {"drain_seconds": 2, "stop_seconds": 5}
            name = await one.own("notes-dev", health='{"probe": "none"}', stop=stop)
            await one.passes("notes-dev")
            gateway.requests = 1
            await engine.shut_down()
            await engine.start()
            assert gateway.asked > 1
            assert await one.exit_code(name) == 143


async def test_an_engine_that_cannot_be_asked_any_more_is_passed_by(tmp_path: Path) -> None:
    async with lab(tmp_path) as one:
        way, gateway = Way(tmp_path / "engine.sock"), await one.gateway("g1")
        await way.open()
        await one.start(engine=f"unix://{way.path}")
        name = await one.own("notes-dev")
        await one.passes("notes-dev")
        gateway.requests = 1

        async def is_waited_for() -> bool:
            return gateway.asked > 1

        async with asyncio.TaskGroup() as group:
            group.create_task(containers.stop(one.engine, name, limit=timedelta(seconds=60)))
            await until(is_waited_for, what="the agent waits for the last request")
            await way.refuse()
            gateway.requests = 0
        assert await one.exit_code(name) == 143
        await one.stop()
        await way.close()
