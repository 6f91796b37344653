"""A service moves from a machine into containers, and back: by weight, behind one name, without a lost request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.lab.agent_lab import Lab, lab, until
from tests.lab.test_agent_lossless import APP, HOST, Traffic, routed
from typer.testing import CliRunner

from pierhead.cli import main
from pierhead.gateway import loop
from pierhead.gateway.options import Options
from pierhead.testing.ports import free_port
from pierhead.wire.consul import kv

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]


@contextlib.asynccontextmanager
async def program() -> AsyncIterator[int]:
    """The port of a program on this machine that says `machine`; it ends at once when it is told to."""

    async def answer(request: web.Request) -> web.Response:
        if "slow" in request.path:
            await asyncio.sleep(0.3)
        return web.Response(text="machine")

    app = web.Application()
    app.add_routes([web.get("/{path:.*}", answer)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def gateway(one: Lab, data: Path) -> AsyncIterator[str]:
    """The address of a gateway that follows the catalog."""
    http, admin = free_port(), free_port()
    local = "127.0.0.1"
    options = Options("moves", one.options.catalog_url, local, http, local, admin, data)
    running = asyncio.ensure_future(loop.run(options))  # noqa: TID251
    try:
        yield f"http://{local}:{http}"
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await loop.stop_haproxy(data)


async def share(url: str, host: str = HOST) -> float:
    """How much of 60 requests the program on the machine answered."""
    async with aiohttp.ClientSession(headers={"Host": host}) as session:
        said = []
        for _ in range(60):
            async with session.get(url) as response:
                said.append(await response.text() if response.status == 200 else str(response.status))
    return said.count("machine") / len(said)


async def test_a_service_moves_by_weight_and_leaves_without_a_lost_request(tmp_path: Path) -> None:
    files = tmp_path / "services.d"
    files.mkdir()
    async with lab(tmp_path) as one, gateway(one, tmp_path / "gateway") as url, contextlib.AsyncExitStack() as machine:
        port = await machine.enter_async_context(program())
        file = f"""
services:
  notes-vm: {{app: notes, environment: dev, port: {port}, protocol: http, weight: 50, check: {{http: /}}}}
  wiki: {{port: {port}, route: wiki.localhost/, check: none}}
"""
        (files / "notes.yaml").write_text(file)
        await one.start(services=files)
        await weigh(one)
        await one.own("notes-dev", APP)
        await until(lambda: routed(one, 2), 30, "both are routed")

        async def has(wanted: float, host: str = HOST) -> bool:
            return abs(await share(url, host) - wanted) < 0.07

        await until(lambda: has(1.0, "wiki.localhost"), 30, "its file alone routes it")
        await until(lambda: has(1 / 3), 30, "its own weight counts")
        await weigh(one, host=90, v1=10)
        await until(lambda: has(0.9), 30, "nine tenths stay on the machine")
        await weigh(one, host=0, v1=100)
        await until(lambda: has(0.0), 30, "all of it is in containers")
        await weigh(one, host=100, v1=0)
        await until(lambda: has(1.0), 30, "and back at once")
        await weigh(one, host=50, v1=50)
        await until(lambda: has(0.5), 30, "half of it")

        traffic = Traffic(url)
        async with traffic.flowing():
            await asyncio.sleep(0.5)
            arguments = ("host", "drain", "notes-vm", "--data", str(one.options.data))
            drained = await asyncio.to_thread(lambda: CliRunner().invoke(main.app, arguments))
            assert drained.exit_code == 0, drained.stderr
            await machine.aclose()
            await asyncio.sleep(0.5)
        assert set(traffic.answers) == {"200"}, traffic.answers
        assert sum(traffic.answers.values()) > 50
        assert await routed(one, 1)


async def weigh(one: Lab, **weights: int) -> None:
    route = {"service": "notes-dev", "hosts": [HOST], "weights": weights}
    assert await kv.put(one.catalog, "pier/routes/notes", json.dumps(route).encode())
