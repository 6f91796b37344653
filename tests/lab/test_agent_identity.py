"""An address that was somebody's a moment ago: an endpoint passes only when what answers there is it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.lab.agent_lab import Lab, Way, calls, lab, until

from pierhead.agent import probes
from pierhead.model.instance import State
from pierhead.testing.ports import free_port
from pierhead.wire.consul import agent
from pierhead.wire.docker import containers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

SICK = "busybox mkdir /empty; exec busybox httpd -f -p 8000 -h /empty"
"""Answers 404."""
PROBES = 10


@pytest_asyncio.fixture
async def one(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as found:
        yield found


def at(port: int) -> dict[str, Any]:
    return {
        "HostConfig": {"PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}, "Init": True}
    }


async def test_an_address_that_another_container_was_given_does_not_pass_for_the_one_that_is_gone(
    one: Lab, tmp_path: Path
) -> None:
    """The agent cannot hear the engine while one container dies and another one, which is well, gets its port."""
    way, port = Way(tmp_path / "engine.sock"), free_port()
    await way.open()
    await one.start(engine=f"unix://{way.path}")
    old, new = f"old-{one.options.cluster}", f"new-{one.options.cluster}"
    said = {"SERVICE_CHECK_HTTP": "/", "SERVICE_CHECK_INTERVAL": "100ms"}
    first = await one.container(SICK, {"SERVICE_NAME": old, **said}, at(port))
    await until(lambda: one.is_in(State.UNHEALTHY, old), what="it is registered, and sick")
    await way.close()
    await containers.remove(one.engine, first, force=True)
    await one.container("exec busybox httpd -f -p 8000 -h /www", {"SERVICE_NAME": new, **said}, at(port))
    with calls(probes, "ask") as asked:
        while asked() < PROBES:  # they succeed now
            assert await one.is_in(State.UNHEALTHY, old)
    await way.open()
    await one.passes(new)
    await until(lambda: one.is_gone(old), what="what is gone is deregistered")
    await one.stop()
    await way.close()


async def test_a_port_of_the_hosts_network_where_another_program_listens_is_not_the_containers(one: Lab) -> None:
    port, free = free_port(), free_port()
    stranger = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    service = f"hosted-{one.options.cluster}"
    more = {"HostConfig": {"NetworkMode": "host", "Init": True}}
    said = {"SERVICE_NAME": service, "SERVICE_CHECK_INTERVAL": "100ms"}
    async with stranger:
        wrong = await one.container("exec busybox sleep 1000", said, {**more, "ExposedPorts": {f"{port}/tcp": {}}})
        script = f"exec busybox httpd -f -p 127.0.0.1:{free} -h /www"
        mine = {"SERVICE_NAME": f"{service}-right", "SERVICE_CHECK_HTTP": "/", "SERVICE_CHECK_INTERVAL": "100ms"}
        await one.container(script, {**mine, "SERVICE_8000_IGNORE": "1"}, {**more, "ExposedPorts": {f"{free}/tcp": {}}})
        await one.start()
        ids = f"service:{one.options.node_name}:{wrong}:{port}"

        async def says_why() -> bool:
            found = await agent.checks(one.catalog)
            return ids in found and found[ids].output == f"at port {port} another program listens, not {wrong}"

        await until(says_why, what="it says who answers")
        await one.passes(f"{service}-right-{free}")
