"""What registrator did wrong on a real engine, done right: networks, bindings, protocols, names, lost events.

One engine and one agent for all of it: every container is started first, and then looked for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.lab.agent_lab import Lab, Way, lab, until

from pierhead.kit import errors
from pierhead.model.instance import State
from pierhead.testing.ports import free_port
from pierhead.wire.consul.records import Entry
from pierhead.wire.docker import containers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

WEB = "exec busybox httpd -f -p 8000 -h /www"
WEB6 = "exec busybox httpd -f -p [::]:8000 -h /www"
ASKED = {"SERVICE_CHECK_HTTP": "/", "SERVICE_CHECK_INTERVAL": "200ms"}


@dataclass
class Case:
    lab: Lab
    way: Way

    def name(self, word: str) -> str:
        return f"{word}-{self.lab.options.cluster}"

    async def web(self, word: str, host: dict[str, Any], script: str = WEB, **labels: str) -> str:
        exposed: dict[str, Any] = {port: {} for port in host.get("PortBindings", {})}
        body = {"HostConfig": {"Init": True, **host}, "ExposedPorts": exposed}
        return await self.lab.container(script, {"SERVICE_NAME": self.name(word), **ASKED, **labels}, body)

    async def only(self, word: str) -> Entry:
        await self.lab.passes(self.name(word))
        (entry,) = await self.lab.entries(self.name(word))
        return entry


@pytest_asyncio.fixture
async def case(tmp_path: Path) -> AsyncIterator[Case]:
    async with lab(tmp_path) as made:
        way = Way(tmp_path / "engine.sock")
        await way.open()
        network = f"pier-net-{made.options.cluster}"
        await made.engine.post("/networks/create", {"Name": network})
        try:
            yield Case(made, way)
        finally:
            await made.stop()
            await way.close()
            for name in made.names:
                with contextlib.suppress(errors.NotFound):
                    await containers.remove(made.engine, name, force=True)
            await made.engine.delete(f"/networks/{network}")


def published(*bindings: tuple[str, int | str], port: str = "8000/tcp") -> dict[str, Any]:
    return {"PortBindings": {port: [{"HostIp": address, "HostPort": str(number)} for address, number in bindings]}}


async def test_every_way_of_being_published(case: Case) -> None:
    one, network = case.lab, f"pier-net-{case.lab.options.cluster}"
    low, high = sorted((free_port(), free_port()))
    await one.start(advertise_ipv6="::1")
    async with asyncio.TaskGroup() as group:
        for word, host, script in [
            ("user", {**published(("", 0)), "NetworkMode": network}, WEB),
            ("local", published(("127.0.0.1", 0)), WEB),
            ("many", published(("127.0.0.1", high), ("127.0.0.1", low)), WEB),
            ("six", published(("::", 0)), WEB6),
            ("none", {**published(("", 0)), "NetworkMode": "none"}, WEB),
            ("quiet", {}, WEB),
        ]:
            group.create_task(case.web(word, host, script))
        group.create_task(case.web("udp", published(("127.0.0.1", 0), port="53/udp")))
        group.create_task(case.web("named", published(("", 0)), SERVICE_8000_NAME=case.name("by-port")))
        group.create_task(case.web("ignored", published(("", 0)), SERVICE_8000_IGNORE="yes"))
    owner = await case.web("owner", published(("", 0)))
    await case.web("sidecar", {"NetworkMode": f"container:{owner}"}, "exec busybox sleep 1000")

    for word in ("user", "local", "owner"):
        assert (await case.only(word)).address == "127.0.0.1"
    assert (await case.only("many")).service.port == low
    assert (await case.only("six")).address == "::1"
    assert (await case.only("by-port")).service.name == case.name("by-port")
    udp = await case.only("udp")
    assert (udp.service.tags, udp.service.id[-7:]) == (("udp",), ":53:udp")
    for word in ("none", "quiet", "named", "ignored", "sidecar"):
        assert await one.is_gone(case.name(word)), word


async def test_a_container_that_is_renamed_has_its_new_name_only(case: Case) -> None:
    one = case.lab
    await one.start()
    name = await case.web("renamed", published(("", 0)))
    before = (await case.only("renamed")).service.id
    one.names.append(f"{name}-later")
    await one.engine.post(f"/containers/{name}/rename", query={"name": f"{name}-later"})

    async def is_renamed() -> bool:
        return [entry.service.id for entry in await one.entries(case.name("renamed"))] == [
            before.replace(name, f"{name}-later")
        ]

    await until(is_renamed, what="only the new name is registered")
    assert (await case.only("renamed")).service.id != before


async def test_what_no_event_told_is_found_all_the_same(case: Case) -> None:
    one = case.lab
    await one.start(engine=f"unix://{case.way.path}", listing=timedelta(milliseconds=200))
    gone = await case.web("gone", published(("", 0)))
    await one.passes(case.name("gone"))
    case.way.is_deaf = True
    await case.web("came", published(("", 0)))
    await one.passes(case.name("came"))
    await containers.remove(one.engine, gone, force=True)
    await until(lambda: one.is_gone(case.name("gone")), what="it is deregistered")


async def test_one_container_that_cannot_be_read_takes_nothing_from_the_others(case: Case) -> None:
    one = case.lab
    await one.start()
    await one.own("broken-dev", ports="{")
    long = {"SERVICE_X": "y" * 100_000, "SERVICE_A.B": "no key"}
    await case.web("well", published(("", 0)), **long)
    await case.only("well")
    assert await one.is_gone("broken-dev")


async def test_a_container_that_crashes_again_and_again_is_damped(case: Case) -> None:
    """Its port is fixed, it lives for a moment, and the engine starts it again and again."""
    one, port = case.lab, free_port()
    await one.start()
    script = "busybox httpd -p 8000 -h /www; busybox usleep 400000; exit 3"
    host = {**published(("127.0.0.1", port)), "RestartPolicy": {"Name": "always"}, "Init": False}
    name = await case.web("crashes", host, script)
    seen: list[bool] = []
    changes = 0

    async def has_crashed_often() -> bool:
        nonlocal changes
        now = await one.is_in(State.HEALTHY, case.name("crashes"))
        changes += bool(seen) and now != seen[-1]
        seen.append(now)
        found = await containers.inspect(one.engine, name)
        return int(found.raw["RestartCount"]) >= 5

    await until(has_crashed_often, 60, "it has crashed five times")
    assert True in seen, "it passed at first"
    assert changes <= 4, "it passed twice at most"
