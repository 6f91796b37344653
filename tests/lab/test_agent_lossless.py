"""Agent, catalog, HAProxy and engine together: whoever stops an instance, no request is lost.

The apps end at once on SIGTERM, and every tenth request takes a while.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from tests.lab.agent_lab import Lab, lab, until

from pierhead.gateway import loop
from pierhead.gateway.options import Options
from pierhead.kit import errors
from pierhead.model.instance import State
from pierhead.testing.ports import free_port
from pierhead.wire.consul import kv
from pierhead.wire.docker import containers, services
from pierhead.wire.gateway import client as gateways

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

HOST = "notes.dev.localhost"
APP = (
    "busybox mkdir -p /www/cgi-bin; busybox printf '#!/bin/sh\\nbusybox sleep 0.3\\necho\\necho slow\\n' "
    "> /www/cgi-bin/slow; busybox chmod 755 /www/cgi-bin/slow; exec busybox httpd -f -p 8000 -h /www"
)
PACE = 0.005


@dataclass
class Traffic:
    """About 200 requests a second through the gateway, until it is stopped."""

    url: str
    answers: Counter[str] = field(default_factory=Counter)

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        over = asyncio.Event()
        async with aiohttp.ClientSession(headers={"Host": HOST}) as session, asyncio.TaskGroup() as group:
            group.create_task(self._send(session, over))
            yield
            over.set()

    async def _send(self, session: aiohttp.ClientSession, over: asyncio.Event) -> None:
        number = 0
        async with asyncio.TaskGroup() as group:
            while not over.is_set():
                number += 1
                group.create_task(self._one(session, "/cgi-bin/slow" if number % 10 == 0 else "/"))
                await asyncio.sleep(PACE)

    async def _one(self, session: aiohttp.ClientSession, path: str) -> None:
        try:
            async with session.get(self.url + path) as response:
                await response.read()
                self.answers[str(response.status)] += 1
        except aiohttp.ClientError as error:
            self.answers[repr(error)] += 1


@pytest_asyncio.fixture
async def one(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as made:
        await made.start()
        yield made


@pytest_asyncio.fixture
async def traffic(one: Lab, tmp_path: Path) -> AsyncIterator[Traffic]:
    options = Options(
        name="lossless",
        catalog_url=one.options.catalog_url,
        host="127.0.0.1",
        http_port=free_port(),
        admin_host="127.0.0.1",
        admin_port=free_port(),
        data=tmp_path / "gateway",
    )
    route = b'{"service": "notes-dev", "hosts": ["%s"]}' % HOST.encode()
    assert await kv.put(one.catalog, "pier/routes/notes", route)
    running = asyncio.ensure_future(loop.run(options))  # noqa: TID251
    yield Traffic(f"http://127.0.0.1:{options.http_port}")
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await loop.stop_haproxy(options.data)


async def routed(one: Lab, count: int) -> bool:
    """The gateway sends requests to so many instances, and to no other."""
    live = await one.entries("pier-gateway")
    if not live:
        return False
    try:
        found = await gateways.service(f"http://{live[0].address}:{live[0].service.port}", "notes-dev")
    except errors.Unavailable:
        return False
    return found is not None and sum(server.state == gateways.READY for server in found.servers) == count


async def test_docker_stop_loses_nothing(one: Lab, traffic: Traffic) -> None:
    names = [await one.own("notes-dev", APP) for _ in range(3)]
    await until(lambda: routed(one, 3), what="all are routed")
    async with traffic.flowing():
        for name in names[:2]:
            await asyncio.sleep(0.3)
            await containers.stop(one.engine, name)
            assert await one.exit_code(name) == 143
    assert set(traffic.answers) == {"200"}, traffic.answers


async def test_docker_restart_loses_nothing(one: Lab, traffic: Traffic) -> None:
    names = [await one.own("notes-dev", APP) for _ in range(2)]
    await until(lambda: routed(one, 2), what="all are routed")
    async with traffic.flowing():
        for name in names:
            await containers.stop(one.engine, name)
            await containers.start(one.engine, name)
            await until(lambda: routed(one, 2), what="it is routed again")
    assert set(traffic.answers) == {"200"}, traffic.answers


async def test_a_service_that_is_scaled_down_and_up_loses_nothing(one: Lab, traffic: Traffic) -> None:
    name = await one.service("notes-dev", APP, replicas=3)
    try:
        await until(lambda: routed(one, 3), 40, "all are routed")
        async with traffic.flowing():
            await services.scale(one.engine, await services.inspect(one.engine, name), 1)
            await until(lambda: routed(one, 1), 40, "one is left")
            await until(lambda: one.is_in(State.HEALTHY, "notes-dev"), 40, "the others are gone")
            await services.scale(one.engine, await services.inspect(one.engine, name), 3)
            await until(lambda: routed(one, 3), 40, "all are routed again")
        assert set(traffic.answers) == {"200"}, traffic.answers
    finally:
        await one.remove_service(name)


async def test_an_agent_that_is_killed_and_started_again_loses_nothing(one: Lab, traffic: Traffic) -> None:
    await one.stop()
    await one.start_child()
    patient = {"drain_seconds": 50, "stop_seconds": 10}  # a busy machine takes its time to start an agent
    names = [await one.own("notes-dev", APP, stop=patient) for _ in range(2)]
    await until(lambda: routed(one, 2), what="all are routed")
    async with traffic.flowing(), asyncio.TaskGroup() as group:
        await one.kill_child()
        await asyncio.sleep(0.3)
        group.create_task(containers.stop(one.engine, names[0], limit=timedelta(seconds=60)))
        await asyncio.sleep(0.3)
        await one.start_child()
    assert await one.exit_code(names[0]) == 143
    assert set(traffic.answers) == {"200"}, traffic.answers
