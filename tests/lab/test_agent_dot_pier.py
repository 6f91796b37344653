"""A container knows, before its app starts, where it is reached: in images without a shell, for any user."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab.agent_lab import Lab, lab, until

from pierhead.model import dot_pier
from pierhead.model.instance import Label
from pierhead.testing.small import IMAGE
from pierhead.wire.docker import containers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

ENV = ["/bin/busybox", "env"]


@pytest_asyncio.fixture
async def one(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as found:
        yield found


async def started(one: Lab, command: Sequence[str], env: Mapping[str, str] | None = None, **host: object) -> str:
    """The name of a container that becomes `command` as another user, with a root it cannot write."""
    labels = {
        Label.CLUSTER: one.options.cluster,
        Label.APP: "notes",
        Label.ENVIRONMENT: "dev",
        Label.RELEASE: "v1",
        Label.PORTS: json.dumps([{"name": "web", "port": 8000, "protocol": "http", "service": "notes-dev"}]),
    }
    folder = one.options.data / dot_pier.FOLDER
    more = {
        "Image": IMAGE,
        "Entrypoint": [dot_pier.INIT],
        "Cmd": dot_pier.arguments(command, env or {}),
        "Env": [f"{key}={value}" for key, value in (env or {}).items()],
        "User": "1234:1234",
        "HostConfig": {
            "PortBindings": {"8000/tcp": [{"HostPort": "0"}]},
            "Binds": [f"{folder}:{dot_pier.TARGET}:ro"],
            "ReadonlyRootfs": True,
            "Init": True,
            **host,
        },
    }
    return await one.container("", labels, more)


async def said(one: Lab, name: str) -> dict[str, str]:
    """The environment that the app has written; the last of a line counts."""
    return dict(line.partition("=")[::2] for line in (await text(one, name)).splitlines())


async def text(one: Lab, name: str) -> str:
    """What it wrote."""
    return b"".join([frame.data async for frame in containers.logs(one.engine, name)]).decode()


@pytest.mark.parametrize("init", [True, False])
async def test_the_app_finds_its_host_port(one: Lab, init: bool) -> None:
    await one.start()
    name = await started(one, [*ENV, "/bin/busybox", "sh", "-c", "env; exec sleep 1000"], Init=init)

    async def is_told() -> bool:
        return "PIER_HOST_PORT_8000" in await said(one, name)

    await until(is_told, what="the app starts")
    found, inspected = await said(one, name), await containers.inspect(one.engine, name)
    assert found["PIER_HOST_PORT_8000"] == str(inspected.ports["8000/tcp"][0].port)
    assert (found["PIER_HOST_IP"], found["HOST_IP"]) == ("127.0.0.1", "127.0.0.1")
    assert (found["PIER_APP"], found["PIER_ENVIRONMENT"], found["PIER_RELEASE"]) == ("notes", "dev", "v1")
    assert (found["PIER_INSTANCE"], found["PIER_NODE"]) == (inspected.id, one.options.node_name)


async def test_nothing_else_changes(one: Lab) -> None:
    await one.start()
    env = {"PLAIN": "a b", "spring.url": "jdbc:x=y", "QUOTED": "'\"$HOME"}
    name = await started(one, [*ENV], env)
    await until(lambda: one.ended(name), what="it ends")
    found = await said(one, name)
    assert {key: found.get(key) for key in env} == env
    assert not {"id", "stat", "file", "left", "odd", "b"} & found.keys()
    assert await one.exit_code(name) == 0


async def test_secrets_become_variables_that_no_inspection_shows(one: Lab, tmp_path: Path) -> None:
    await one.start()
    value = "s3cret '\"$HOME * `id`"
    (folder := tmp_path / "secrets").mkdir(mode=0o755)
    (folder / "database").write_text(f"{value}\n")
    env = dot_pier.secret_variables({"URL": "database", "AGAIN": "database"}) | {"a.b": "c"}
    bound = {"Binds": [f"{one.options.data / dot_pier.FOLDER}:/.pier:ro", f"{folder}:/run/secrets:ro"]}
    name = await started(one, [*ENV], env, **bound)
    await until(lambda: one.ended(name), what="it ends")
    found = await said(one, name)
    assert (found["URL"], found["AGAIN"], found["a.b"]) == (value, value, "c")
    assert dot_pier.SECRETS not in found
    assert value not in json.dumps(dict((await containers.inspect(one.engine, name)).raw))
    absent = await started(one, [*ENV], dot_pier.secret_variables({"URL": "nowhere"}), **bound)
    await until(lambda: one.ended(absent), what="the other ends")
    assert (await one.exit_code(absent), "not started without URL" in await text(one, absent)) == (78, True)


async def test_a_program_of_the_image_is_never_taken_for_one_of_ours(one: Lab) -> None:
    await one.start()
    absent, there = await started(one, ["wget", "http://x"]), await started(one, ["sh", "-c", "exit 3"], {"a.b": "c"})
    await until(lambda: one.ended(absent), what="the first ends")
    await until(lambda: one.ended(there), what="the second ends")
    assert await one.exit_code(absent) == 127
    assert "wget in the PATH of the image" in await text(one, absent)
    assert await one.exit_code(there) == 3


async def test_a_start_in_place_is_told_the_new_port(one: Lab) -> None:
    await one.start()
    name = await started(one, [*ENV, "/bin/busybox", "sh", "-c", "env; exec sleep 1000"])
    for _ in range(2):
        port = (await containers.inspect(one.engine, name)).ports["8000/tcp"][0].port

        async def is_told(expected: int = port) -> bool:
            return (await said(one, name)).get("PIER_HOST_PORT_8000") == str(expected)

        await until(is_told, what="the app has the port of this start")
        await containers.kill(one.engine, name)
        await until(lambda: one.ended(name), what="it ends")
        await containers.start(one.engine, name)


async def test_without_an_agent_it_starts_without_ports_and_says_so(one: Lab) -> None:
    await one.start()
    await one.own("first-dev")
    await one.passes("first-dev")
    await one.stop()
    name = await started(one, [*ENV], {dot_pier.WAIT: "1"})
    await until(lambda: one.ended(name), what="it ends")
    assert "starts without them" in await text(one, name)
    assert await one.exit_code(name) == 0


async def test_an_app_that_needs_its_ports_does_not_start_without(one: Lab) -> None:
    await one.start()
    await one.own("first-dev")
    await one.passes("first-dev")
    await one.stop()
    name = await started(one, [*ENV], {dot_pier.WAIT: "1", dot_pier.REQUIRED: "1"})
    await until(lambda: one.ended(name), what="it ends")
    assert await one.exit_code(name) == 78
