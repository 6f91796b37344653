"""Other people's clients find what our agent registered, and what they write is understood."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import aiohttp
import consul as py_consul
import pytest

from pierhead.testing import peers
from pierhead.wire.consul import agent, health, kv
from pierhead.wire.consul.client import Consul

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

CHECK = agent.Check(ttl=timedelta(hours=1), status="passing")

NODE_CLIENT = Path(__file__).parent / "node"


async def test_py_consul_finds_and_writes(consul: Consul, url: str, name: str) -> None:
    await agent.register(consul, agent.Registration(name, port=80, tags=("a",), checks=(CHECK,)))
    at = urlsplit(url)
    found = await asyncio.to_thread(_use_py_consul, at.hostname or "", at.port or 0, name)
    assert found == [name]
    (entry,), _ = await health.service(consul, f"{name}-py", passing=True)
    assert (entry.service.port, entry.service.tags) == (9, ("t",))
    pair, _ = await kv.get(consul, f"{name}-py")
    assert pair
    assert pair.value == b"from python"


def _use_py_consul(host: str, port: int, name: str) -> list[str]:
    client = py_consul.Consul(host=host, port=port)
    client.agent.service.register(
        f"{name}-py", service_id=f"{name}-py", port=9, tags=["t"], check=py_consul.Check.ttl("1h")
    )
    client.agent.check.ttl_pass(f"service:{name}-py")
    assert client.kv.put(f"{name}-py", "from python")
    index, pair = client.kv.get(f"{name}-py")
    assert pair["Value"] == b"from python"
    index, absent = client.kv.get(f"{name}-absent")
    assert (absent, int(index) >= 1) == (None, True)
    session = client.session.create(ttl=10, lock_delay=0)
    assert client.kv.put(f"{name}-lock", "x", acquire=session)
    client.session.destroy(session)
    _, names = client.catalog.services()
    assert names[name] == ["a"]
    _, entries = client.health.service(name, passing=True, tag="a")
    return [entry["Service"]["ID"] for entry in entries]


async def test_the_node_client_finds_writes_and_watches(consul: Consul, url: str, name: str) -> None:
    assert (NODE_CLIENT / "node_modules" / "consul").exists(), f"{peers.SETUP} installs the npm package `consul`"
    await agent.register(consul, agent.Registration(name, port=80, checks=(CHECK,)))
    process = await asyncio.create_subprocess_exec(
        "node", str(NODE_CLIENT / "use.cjs"), url, name, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert json.loads(out) == {"ids": [name], "listed": True, "watched": "changed"}
    assert len((await health.service(consul, f"{name}-js", passing=True))[0]) == 1


async def test_traefik_routes_to_what_our_agent_registered(consul: Consul, url: str, name: str, tmp_path: Path) -> None:
    async with backend() as port, routing(url, tmp_path) as front:
        await agent.register(consul, agent.Registration(name, address="127.0.0.1", port=port, checks=(CHECK,)))
        await until_status(front, name, 200)
        await agent.maintenance(consul, name, enable=True)
        await until_status(front, name, 404, 503)
        await agent.deregister(consul, name)


@asynccontextmanager
async def backend() -> AsyncIterator[int]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def routing(url: str, folder: Path) -> AsyncIterator[str]:
    """A Traefik that watches the catalog; the URL of its entry point."""
    probe = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    arguments = [
        f"--entrypoints.web.address=127.0.0.1:{port}",
        f"--providers.consulcatalog.endpoint.address={urlsplit(url).netloc}",
        "--providers.consulcatalog.watch=true",
        "--providers.consulcatalog.defaultrule=Host(`{{ .Name }}.test`)",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.level=ERROR",
    ]
    with (folder / "traefik.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(peers.program("traefik")), *arguments, stdout=log, stderr=log
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        async with asyncio.timeout(20):
            await process.wait()


async def until_status(front: str, name: str, *wanted: int) -> None:
    """A request for the service's host is answered with one of the statuses."""
    deadline, seen = monotonic() + 40, 0
    async with aiohttp.ClientSession() as session:
        while monotonic() < deadline:
            try:
                async with session.get(front, headers={"Host": f"{name}.test"}) as response:
                    seen = response.status
            except aiohttp.ClientError:
                seen = 0
            if seen in wanted:
                return
            await asyncio.sleep(0.2)
    raise AssertionError(f"Traefik answers {seen} for {name}, not {wanted}")
