"""What runs on a machine and is no container is found, checked, weighed and drained like one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.lab.agent_lab import Lab, lab, until
from typer.testing import CliRunner, Result

from pierhead.agent import host_state
from pierhead.agent.options import NO_ENGINE
from pierhead.boot import other_nodes
from pierhead.cli import main
from pierhead.model.instance import Meta, State
from pierhead.testing.ports import free_port
from pierhead.wire.consul import agent

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]


@dataclass
class Machine:
    """A machine without an engine: programs that answer HTTP, the files that declare them, and an agent."""

    lab: Lab
    files: Path
    servers: list[asyncio.Server] = field(default_factory=list)
    status: dict[int, int] = field(default_factory=dict)
    """Port → what the program there answers."""

    async def program(self) -> int:
        """The port of a program that answers 200."""
        port: int = 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, EOFError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % self.status[port])
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        self.servers.append(server)
        port = int(server.sockets[0].getsockname()[1])
        self.status[port] = 200
        return port

    def write(self, name: str, text: str) -> None:
        """As one should: whole, then renamed."""
        temporary = self.files / f".{name}"
        temporary.write_text(text)
        temporary.rename(self.files / name)

    def says(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(host_state.file(self.lab.options.data).read_text())
        return value

    async def pier(self, *arguments: str) -> Result:
        """The command, in a thread of this process."""
        return await asyncio.to_thread(lambda: CliRunner().invoke(main.app, arguments))

    async def host(self, *arguments: str) -> Result:
        return await self.pier("host", *arguments, "--data", str(self.lab.options.data))


@pytest_asyncio.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    files = tmp_path / "services.d"
    files.mkdir()
    async with lab(tmp_path) as made:
        made.options = replace(made.options, engine=NO_ENGINE, services=files)
        found = Machine(made, files)
        yield found
        for server in found.servers:
            server.close()


async def test_a_service_lives_from_its_file_to_its_drain(machine: Machine) -> None:
    one, port = machine.lab, await machine.program()
    gateway = await one.gateway("g")
    await one.start()
    machine.write("wiki.yaml", f"services: {{wiki: {{port: {port}, check: {{http: /, interval: 200ms, fall: 1}}}}}}")
    await one.passes("wiki")
    (entry,) = await one.entries("wiki")
    assert (entry.service.id, entry.address, entry.service.port) == (f"{one.options.node_name}:wiki", "127.0.0.1", port)
    assert (entry.service.meta[Meta.KIND], entry.service.meta[Meta.INSTANCE]) == ("host", "host:wiki")

    machine.status[port] = 500
    await until(lambda: one.is_in(State.UNHEALTHY, "wiki"), what="it fails its check")
    machine.status[port] = 200
    await one.passes("wiki")

    gateway.requests = 1
    (machine.files / "wiki.yaml").unlink()
    await until(lambda: one.is_in(State.DRAINING, "wiki"), what="it drains")
    asked = gateway.asked

    async def has_asked() -> bool:
        return gateway.asked > asked + 3

    await until(has_asked, what="the gateway is asked again and again")
    assert await one.is_in(State.DRAINING, "wiki")
    gateway.requests = 0
    await until(lambda: one.is_gone("wiki"), what="it is deregistered")


async def test_an_invalid_file_is_left_out_and_told_and_the_others_live(machine: Machine) -> None:
    one, port, other = machine.lab, await machine.program(), await machine.program()
    machine.write("good.yaml", f"services: {{good: {{port: {port}}}}}")
    machine.write("bad.yaml", "services:\n  bad:\n    prt: 1\n")
    told: list[str] = []
    await one.start(tell=told.append)
    await one.passes("good")

    async def is_told() -> bool:
        return told[-1:] == ["services: bad.yaml:2 services.bad.port: is needed and 1 more (`pier host check`)"]

    async def is_listed() -> bool:
        return [found["state"] for found in machine.says()["services"]] == ["passing"]

    await until(is_told, what="what is wrong is told")
    elsewhere: list[str] = []
    following = asyncio.ensure_future(  # noqa: TID251
        other_nodes.follow(one.catalog, "another", elsewhere.append)
    )

    async def says(text: str) -> bool:
        return elsewhere[-1:] == [text]

    wrong = "bad.yaml:2 services.bad.port: is needed and 1 more (`pier host check`)"
    await until(lambda: says(f"{one.options.node_name}: {wrong}"), what="other nodes hear it")
    await until(is_listed, what="its state is told")
    listed = await machine.host("list", "--json")
    assert listed.exit_code == 0, listed.stderr
    said = json.loads(listed.stdout)
    assert [(found["name"], found["state"]) for found in said["services"]] == [("good", "passing")]
    assert [found["place"] for found in said["problems"]["bad.yaml"]] == [
        "bad.yaml:2 services.bad.port",
        "bad.yaml:3 services.bad.prt",
    ]

    checked = await machine.pier("host", "check", str(machine.files))
    assert checked.exit_code == 2
    assert "bad.yaml:3 services.bad.prt: there is no such key (did you mean port?)" in checked.stderr
    assert (await machine.pier("host", "check", str(machine.files / "good.yaml"))).exit_code == 0

    before = (await one.entries("good"))[0].service
    machine.write("good.yaml", "services: {good: {port: ")

    async def is_told_too() -> bool:
        return "good.yaml" in machine.says()["problems"]

    await until(is_told_too, what="it is told")
    await one.stop()
    await until(lambda: says(""), what="an agent that has left says nothing")
    following.cancel()
    machine.write("bad.yaml", f"services: {{bad: {{port: {other}}}}}")
    await one.start()
    await one.passes("bad")
    await one.passes("good")
    assert (await one.entries("good"))[0].service == before


async def test_a_person_drains_a_service_and_brings_it_back(machine: Machine) -> None:
    one, port = machine.lab, await machine.program()
    gateway = await one.gateway("g")
    machine.write("wiki.yaml", f"services: {{wiki: {{port: {port}}}, other: {{port: {port}, check: none}}}}")
    await one.start()
    await one.passes("wiki")
    await one.passes("other")
    gateway.requests = 2
    assert (await machine.host("drain", "wike")).exit_code == 4
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(machine.host("drain", "wiki"))
        await until(lambda: one.is_in(State.DRAINING, "wiki"), 30, "it drains")
        gateway.requests = 0
    assert draining.result().exit_code == 0, draining.result().stderr
    assert "wiki is drained" in draining.result().stdout
    assert await one.is_gone("wiki")

    await one.stop()
    await one.start()
    machine.write("more.yaml", f"services: {{more: {{port: {port}, check: none}}}}")
    await one.passes("more")
    assert await one.is_gone("wiki"), "the wish holds over a restart"
    returned = await machine.host("return", "wiki")
    assert (returned.exit_code, returned.stdout) == (0, "wiki is passing.\n"), returned.stderr
    await one.passes("wiki")
    await one.stop()
    assert (await machine.host("drain", "wiki")).exit_code == 7


async def test_every_kind_of_check(machine: Machine, tmp_path: Path) -> None:
    one, port = machine.lab, await machine.program()
    flag = tmp_path / "well"
    flag.touch()
    machine.write(
        "kinds.yaml",
        f"""
services:
  by-tcp: {{port: {port}, check: {{tcp: true}}}}
  by-command: {{port: {port}, check: {{command: [test, -e, {flag}], interval: 100ms, fall: 1}}}}
  by-ttl: {{port: {port}, check: {{ttl: 700ms}}}}
  by-nothing: {{port: {port}, check: none}}
  by-absent: {{port: {free_port()}, check: {{tcp: true}}}}
  by-sleeper: {{port: {port}, check: {{command: [sleep, "{port}.125"], timeout: 200ms, interval: 100ms}}}}
""",
    )
    await one.start()
    for name in ("by-tcp", "by-command", "by-nothing"):
        await one.passes(name)
    flag.unlink()
    await until(lambda: one.is_in(State.UNHEALTHY, "by-command"), what="the command fails")
    assert await one.is_in(State.UNHEALTHY, "by-absent")
    check = f"service:{one.options.node_name}:by-ttl"
    await agent.update_check(one.catalog, check, "passing")
    assert await one.is_in(State.HEALTHY, "by-ttl")
    await until(lambda: one.is_in(State.UNHEALTHY, "by-ttl"), what="nobody told the catalog in time")

    async def says_timeout() -> bool:
        found = await agent.checks(one.catalog)
        return "no answer in 0.2 s" in found[f"service:{one.options.node_name}:by-sleeper"].output

    await until(says_timeout, what="a command that takes too long has failed")
    await one.stop()
    assert [found for found in commands() if f"{port}.125" in found] == [], "nothing of a command runs on"


def commands() -> list[str]:
    """The commands of all processes."""
    return subprocess.run(("ps", "-eo", "args"), capture_output=True, text=True, check=True).stdout.splitlines()


async def test_a_service_is_never_taken_for_gone_while_its_folder_cannot_be_read(machine: Machine) -> None:
    one, port = machine.lab, await machine.program()
    machine.write("wiki.yaml", f"services: {{wiki: {{port: {port}}}}}")
    await one.start()
    await one.passes("wiki")
    machine.files.rename(machine.files.with_name("away"))

    async def is_told() -> bool:
        return str(machine.files) in machine.says()["problems"]

    await until(is_told, what="the folder's absence is told")
    assert await one.is_in(State.HEALTHY, "wiki")
    await one.stop()
    await one.start()
    await until(is_told, what="it is told again")
    await one.passes("wiki")


async def test_what_left_its_file_while_no_agent_ran_leaves_the_catalog_too(machine: Machine) -> None:
    one, port = machine.lab, await machine.program()
    machine.write("wiki.yaml", f"services: {{wiki: {{port: {port}}}, stays: {{port: {port}, check: none}}}}")
    await one.start()
    await one.passes("wiki")
    await one.passes("stays")
    await one.stop()
    machine.write("wiki.yaml", f"services: {{stays: {{port: {port}, check: none}}}}")
    shutil.rmtree(one.options.data / "host-files")
    await one.start()
    await until(lambda: one.is_gone("wiki"), what="it is deregistered")
    assert await one.is_in(State.HEALTHY, "stays")


async def test_a_data_folder_that_cannot_be_written_does_not_end_the_agent(machine: Machine) -> None:
    one, port = machine.lab, await machine.program()
    told: list[str] = []
    await one.start(tell=told.append)
    machine.write("wiki.yaml", f"services: {{wiki: {{port: {port}}}}}")
    await one.passes("wiki")
    shutil.rmtree(one.options.data / "host-files")
    (one.options.data / "host-files").write_text("a file is in the way")
    machine.write("wiki.yaml", f"services: {{wiki: {{port: {port}, tags: [new]}}}}")

    async def is_told() -> bool:
        return any("host-files" in text or "data folder" in text for text in told)

    async def is_new() -> bool:
        return [entry.service.tags for entry in await one.entries("wiki")] == [("new",)]

    await until(is_told, what="it is told")
    await until(is_new, what="the file counts all the same")
