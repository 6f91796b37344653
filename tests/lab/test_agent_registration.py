"""What runs on the engine is in the catalog, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from tests.lab.agent_lab import Lab, lab, state_of, until

from pierhead.kit import errors
from pierhead.model.instance import Meta, State
from pierhead.testing.ports import free_port
from pierhead.wire.consul import agent as consul_agent
from pierhead.wire.docker import containers, exec

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]


@pytest_asyncio.fixture
async def one(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as found:
        yield found


async def test_a_container_of_pierhead_is_registered_and_passes(one: Lab) -> None:
    await one.start()
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    (entry,) = await one.entries("notes-dev")
    inspected = await containers.inspect(one.engine, name)
    assert entry.service.id == f"{one.options.node_name}:{name}:8000"
    assert (entry.address, entry.service.port) == ("127.0.0.1", inspected.ports["8000/tcp"][0].port)
    assert entry.service.tags == ("dev", "v1")
    meta = entry.service.meta
    assert meta[Meta.INSTANCE] == inspected.id
    assert (meta[Meta.APP], meta[Meta.ENVIRONMENT], meta[Meta.RELEASE]) == ("notes", "dev", "v1")
    assert (meta[Meta.PORT], meta[Meta.PROTOCOL], meta[Meta.KIND]) == ("web", "http", "container")
    assert f"service:{entry.service.id}" in [check.id for check in entry.checks]


async def test_a_container_that_ends_is_deregistered(one: Lab) -> None:
    await one.start()
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    await containers.kill(one.engine, name)
    await until(lambda: one.is_gone("notes-dev"), what="it is deregistered")


async def test_any_other_container_is_registered_as_registrator_would(one: Lab) -> None:
    await one.start()
    service = f"old-{one.options.cluster}"
    said = {"SERVICE_NAME": service, "SERVICE_TAGS": "a,b", "SERVICE_ROUTE": "old.example", "SERVICE_CHECK_HTTP": "/"}
    await one.container("exec busybox httpd -f -p 8000 -h /www", said)
    await one.passes(service)
    (entry,) = await one.entries(service)
    assert entry.service.tags == ("a", "b")
    assert entry.service.meta["route"] == "old.example"


async def test_containers_of_another_cluster_are_left_alone(one: Lab) -> None:
    await one.start()
    service = f"theirs-{one.options.cluster}"
    other = await one.own(service, cluster="somebody-else")
    await one.own("notes-dev")
    await one.passes("notes-dev")
    assert await one.is_gone(service)
    found = await consul_agent.services(one.catalog)
    assert [key for key in found if other in key] == []


async def test_an_app_that_fails_its_probe_is_critical_and_the_catalog_says_why(one: Lab) -> None:
    await one.start()
    health = {"probe": "http", "path": "/none", "port": "web", "interval_seconds": 1, "timeout_seconds": 1}
    await one.own("notes-dev", health=health)

    async def says_why() -> bool:
        return any("404" in check.output for check in (await consul_agent.checks(one.catalog)).values())

    await until(says_why, what="the output says 404")
    assert await one.is_in(State.UNHEALTHY, "notes-dev")


async def test_an_unhealthy_container_does_not_pass(one: Lab) -> None:
    await one.start()
    service = f"checked-{one.options.cluster}"
    test = ["CMD-SHELL", "test -e /www/well"]
    check = {"Test": test, "Interval": 100_000_000, "Timeout": 1_000_000_000, "Retries": 1}
    script = "busybox touch /www/well; exec busybox httpd -f -p 8000 -h /www"
    name = await one.container(script, {"SERVICE_NAME": service}, {"Healthcheck": check})
    await one.passes(service)
    await containers.pause(one.engine, name)
    await until(lambda: one.is_in(State.UNHEALTHY, service), what="a paused container does not pass")
    await containers.unpause(one.engine, name)
    await one.passes(service)


async def test_looking_again_a_hundred_times_writes_nothing(one: Lab) -> None:
    async with passing_on(one.options.catalog_url) as seen:
        await one.start(catalog_url=seen.url, look=timedelta(milliseconds=10), listing=timedelta(milliseconds=20))
        await one.own("notes-dev")
        await one.container("exec busybox sleep 1000", {"SERVICE_NAME": f"old-{one.options.cluster}"})
        await one.passes("notes-dev")
        await one.passes(f"old-{one.options.cluster}")
        begin, written = seen.looks, list(seen.writes)

        async def has_looked_often() -> bool:
            return seen.looks >= begin + 100

        await until(has_looked_often, 60, "it has looked a hundred times")
        assert seen.writes == written
        assert len(written) < 20
        await one.stop()


async def test_an_agent_that_starts_again_does_not_let_anything_flap(one: Lab) -> None:
    await one.start()
    await one.own("notes-dev")
    await one.passes("notes-dev")
    await one.stop()
    before = [check.modify_index for entry in await one.entries("notes-dev") for check in entry.checks]
    await one.start()
    await one.own("later-dev")
    await one.passes("later-dev")
    assert before == [check.modify_index for entry in await one.entries("notes-dev") for check in entry.checks]


async def test_an_app_that_answers_slowly_does_not_flap_either(one: Lab) -> None:
    script = (
        "busybox mkdir /www/cgi-bin; busybox printf '#!/bin/sh\\nbusybox sleep 0.7\\necho\\necho well\\n' "
        "> /www/cgi-bin/slow; busybox chmod 755 /www/cgi-bin/slow; exec busybox httpd -f -p 8000 -h /www"
    )
    health = {"probe": "http", "path": "/cgi-bin/slow", "port": "web", "interval_seconds": 0.5, "timeout_seconds": 3}
    await one.start()
    await one.own("slow-dev", script, health=health)
    await one.passes("slow-dev")
    await one.stop()
    before = [check.modify_index for entry in await one.entries("slow-dev") for check in entry.checks]
    await one.start()
    await one.own("later-dev", script, health=health)
    await one.passes("later-dev")
    assert before == [check.modify_index for entry in await one.entries("slow-dev") for check in entry.checks]


async def test_an_app_that_died_inside_while_no_agent_ran_does_not_pass_for_long(one: Lab) -> None:
    await one.start()
    script = "busybox httpd -f -p 8000 -h /www & echo $! > /pid; wait; exec busybox sleep 1000"
    name = await one.own("notes-dev", script)
    await one.passes("notes-dev")
    await one.stop()
    async with exec.started(one.engine, name, ["/bin/sh", "-c", "kill $(busybox cat /pid)"], tty=False) as session:
        while await session.read():
            pass
        assert await session.exit_code() == 0
    await one.start()
    await until(lambda: one.is_in(State.UNHEALTHY, "notes-dev"), what="it no longer passes")


async def test_a_container_that_ended_while_no_agent_ran_is_deregistered(one: Lab) -> None:
    await one.start()
    name = await one.own("notes-dev")
    await one.passes("notes-dev")
    await one.stop()
    await containers.remove(one.engine, name, force=True)
    await one.start()
    await until(lambda: one.is_gone("notes-dev"), what="it is deregistered")


async def test_a_second_agent_with_the_same_folder_is_refused(one: Lab) -> None:
    await one.start()
    await one.own("notes-dev")
    await one.passes("notes-dev")
    second = Lab(one.options, one.engine, one.catalog)
    await second.start()
    assert second._task
    with pytest.raises(errors.Conflict):
        await second._task


async def test_a_second_agent_with_the_same_name_is_refused(one: Lab, tmp_path: Path) -> None:
    await one.start()
    await one.own("notes-dev")
    await one.passes("notes-dev")
    second = Lab(one.options, one.engine, one.catalog)
    await second.start(data=tmp_path / "copied")
    assert second._task
    with pytest.raises(errors.Conflict, match=one.options.node_name):
        await second._task
    assert [state_of(entry) for entry in await one.entries("notes-dev")] == [State.HEALTHY]


@dataclass
class Seen:
    """What an agent asked the catalog for."""

    url: str = ""
    looks: int = 0
    writes: list[str] = field(default_factory=list)
    """All but renewals of the claim."""


@asynccontextmanager
async def passing_on(catalog: str) -> AsyncIterator[Seen]:
    """A way to the catalog that counts what is asked."""
    seen = Seen()

    async def answer(request: web.Request) -> web.Response:
        seen.looks += request.path == "/v1/agent/services"
        if request.method != "GET" and not request.path.startswith("/v1/session/renew"):
            seen.writes.append(request.path)
        body = await request.read()
        async with session.request(request.method, catalog + request.path_qs, data=body) as reply:
            kept = {key: reply.headers[key] for key in ("X-Consul-Index", "Content-Type") if key in reply.headers}
            return web.Response(status=reply.status, body=await reply.read(), headers=kept)

    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", answer)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    async with aiohttp.ClientSession() as session:
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        seen.url = f"http://127.0.0.1:{port}"
        try:
            yield seen
        finally:
            await runner.cleanup()
