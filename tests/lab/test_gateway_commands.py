"""Three commands in place of registrator, Consul, consul-template and HAProxy: catalog, agent, gateway, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab import agent_lab, gateway_lab
from tests.lab.gateway_lab import until

from pierhead.testing import consul as real
from pierhead.testing import ports
from pierhead.wire.docker import containers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]
KINDS = [
    "embedded",
    pytest.param(
        "real",
        marks=pytest.mark.skipif(
            os.environ.get("PIER_NO_REAL_CONSUL") == "1", reason="PIER_NO_REAL_CONSUL=1 leaves the real Consul out"
        ),
    ),
]


@contextlib.asynccontextmanager
async def command(*words: str) -> AsyncIterator[None]:
    """`pier` with these words runs in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from pierhead.cli.main import main; main()", *words
    )
    try:
        yield
        assert process.returncode is None, f"pier {words[0]} ended by itself"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


@contextlib.asynccontextmanager
async def a_catalog(kind: str, folder: Path) -> AsyncIterator[str]:
    if kind == "real":
        async with real.serving(folder) as found:
            yield found.url
        return
    (port,) = ports.free(1)
    async with command("catalog", "--listen", f"127.0.0.1:{port}", "--data", str(folder)):
        yield f"http://127.0.0.1:{port}"


async def _told(admin: str, host: str) -> str:
    """Why `pier gateway config` says that the host leads where it does: the same with and without `--json`."""
    words = (sys.executable, "-c", "from pierhead.cli.main import main; main()", "gateway", "config", "--admin", admin)
    text, document = [
        (await (await asyncio.create_subprocess_exec(*words, *more, stdout=asyncio.subprocess.PIPE)).communicate())[0]
        for more in ([], ["--json"])
    ]
    found = json.loads(document)
    assert found["is_loaded"]
    entry = next(one for one in found["maps"] if one["key"] == f"{host}/")
    spare = next(one for one in found["sections"] if one["name"] == f"backend {entry['value']}")
    assert spare["why"].startswith("spare, taken by http:web-")
    assert spare["servers"]
    lines = text.decode().splitlines()
    assert lines[lines.index(f"backend {entry['value']} from http") - 1].startswith("# now s1: ")
    assert f"{host}/ {entry['value']}  # {entry['why']}" in lines
    return str(entry["why"])


async def is_answered(ask: Callable[[str], Awaitable[tuple[int, str]]], status: int) -> bool:
    return (await ask("other.localhost"))[0] == status


@pytest.mark.parametrize("kind", KINDS)
async def test_a_plain_container_that_names_its_route_is_served(kind: str, tmp_path: Path) -> None:
    http, admin = ports.free(2)
    async with (
        agent_lab.lab(tmp_path / "lab") as lab,
        gateway_lab.asking(f"http://127.0.0.1:{http}") as ask,
        a_catalog(kind, tmp_path / "catalog") as url,
        command(
            *("gateway", "--catalog", url, "--http", f"127.0.0.1:{http}", "--admin", f"127.0.0.1:{admin}"),
            *("--data", str(tmp_path / "gateway"), "--no-keep"),
        ),
    ):
        await until(lambda: is_answered(ask, 404), 120, "HAProxy serves: what comes now is in a spare backend")
        lab.options = replace(lab.options, catalog_url=url)
        await lab.start_child()
        host = f"{lab.options.cluster}.localhost"
        labels = {"SERVICE_NAME": f"web-{lab.options.cluster}", "SERVICE_ROUTE": f"{host}/"}
        name = await lab.container("exec busybox httpd -f -p 8000 -h /www", labels)

        async def is_served(status: int) -> bool:
            return (await ask(host))[0] == status

        await until(lambda: is_served(200), 120, "the container answers by its name")
        assert await is_answered(ask, 404)
        assert await _told(f"127.0.0.1:{admin}", host) == f"metadata `route` of the service web-{lab.options.cluster}"
        second = await lab.container("exec busybox httpd -f -p 8000 -h /www", labels)
        await containers.remove(lab.engine, name, force=True)
        await until(lambda: is_served(200), 120, "the other one answers")
        await containers.remove(lab.engine, second, force=True)
        await until(lambda: is_served(503), 120, "the name is known, and nobody is there")
