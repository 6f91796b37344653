"""A Pierhead on a PostgreSQL that fails: apps answer, what is asked of the server is refused, and then it goes on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pierhead.testing import postgresql, whole
from pierhead.testing.load import Load, ask
from pierhead.testing.postgresql import Running
from pierhead.testing.whole import Pierhead, Repository

HOST = "hello.dev.localhost"
DOCKERFILE = """FROM scratch
COPY busybox /bin/busybox
COPY index.html /www/index.html
CMD ["/bin/busybox", "httpd", "-f", "-p", "8000", "-h", "/www"]
"""


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Running]:
    async with postgresql.serving() as running:
        yield running


def repository(folder: Path) -> Repository:
    made = Repository(folder, "hello-dockerfile", "hello")
    made.write("Dockerfile", DOCKERFILE)
    shutil.copy("/bin/busybox", folder / "busybox")
    made.replace("pier.yaml", "/healthz", "/")
    made.write("index.html", "first")
    made.commit("Say first")
    return made


@pytest.mark.timeout(600)
async def test_a_database_that_fails_costs_no_request(server: Running, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(server.password)
    told = f'[database]\nurl = "{server.url(await server.fresh())}"\npassword_file = "{password}"\n'
    home = tmp_path / "home"
    home.mkdir()
    with whole.running(home, told) as pierhead:
        await asyncio.to_thread(_live, pierhead, server, repository(tmp_path / "hello"))


def _live(pierhead: Pierhead, server: Running, hello: Repository) -> None:
    pierhead.pier("deploy", str(hello.folder))
    assert not (pierhead.home / "pier.db").exists()
    with Load(pierhead.gateway, HOST) as load:
        asyncio.run(server.stop())
        refused = pierhead.pier("releases", "hello", check=False)
        assert (refused.returncode, "pg_isready" in refused.stderr) == (7, True), refused.stderr
        asyncio.run(server.start())
        hello.write("index.html", "second")
        hello.commit("Say second")
        pierhead.pier("deploy", str(hello.folder))
        assert ask(pierhead.gateway, HOST) == (200, "second")
        os.kill(int(json.loads((pierhead.home / "run" / "pier.process").read_text())["pid"]), signal.SIGKILL)
        asyncio.run(server.stop())
        asyncio.run(server.start())
        pierhead.pier("up")
        assert [one["name"] for one in pierhead.json("releases", "hello")] == ["v2", "v1"]
    assert (load.failures, load.answers["first"] > 20, load.answers["second"] > 20) == ([], True, True)
