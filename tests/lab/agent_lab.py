"""One agent on the real engine, with a catalog of its own, gateways that say what a test wants, and small apps.

Everything carries a cluster name that no other test uses; afterwards nothing of it is left in the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from aiohttp import web

from pierhead.agent import loop
from pierhead.agent.options import Options
from pierhead.catalog import server
from pierhead.kit import errors
from pierhead.model.instance import GATEWAY_SERVICE, Label, State, state
from pierhead.testing import small
from pierhead.testing.ports import free_port
from pierhead.testing.small import IMAGE
from pierhead.wire.consul import agent, health
from pierhead.wire.consul.client import Consul
from pierhead.wire.consul.records import Entry
from pierhead.wire.docker import containers, services, tasks
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.services import Port, ServiceSpec

SOCKET = os.environ.get("PIER_ENGINE_SOCKET", "unix:///var/run/docker.sock")
WEB = "httpd -f -p 8000 -h /www"
"""Ends at once on SIGTERM."""


async def until(true: Callable[[], Awaitable[object]], seconds: float = 60, what: str = "") -> float:
    """The seconds after which `true` gave something true."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if await true():
            return time.monotonic() - begin
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what or true}")


@contextlib.contextmanager
def calls(owner: Any, name: str, counts: Callable[..., bool] = lambda *_: True) -> Iterator[Callable[[], int]]:
    """How often the async function of that name has come to its end since, of the calls that count."""
    count, real = 0, getattr(owner, name)

    async def counted(*arguments: Any) -> Any:
        nonlocal count
        found = await real(*arguments)
        count += counts(*arguments)
        return found

    with mock.patch.object(owner, name, counted):
        yield lambda: count


class Gateway:
    """A gateway's status API. It follows the catalog's maintenance and reports `requests` open on every server."""

    def __init__(self, name: str, catalog: Consul) -> None:
        self.name, self.catalog = name, catalog
        self.requests = 0
        self.is_slow_to_apply = False
        """It still sends requests to what drains."""
        self.is_mute = False
        self.asked = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.add_routes([web.get("/v1/status", self._status), web.get("/v1/services/{name}", self._service)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        check = agent.Check(ttl=timedelta(hours=1), status="passing")
        await agent.register(
            self.catalog,
            agent.Registration(GATEWAY_SERVICE, f"{GATEWAY_SERVICE}:{self.name}", "127.0.0.1", port, checks=(check,)),
        )

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response({"name": self.name, "state": "ready"})

    async def _service(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.is_mute:
            return web.Response(status=500, text="{}")
        name = request.match_info["name"]
        entries, index = await health.service(self.catalog, name)
        if not entries:
            return web.json_response({"error": "no such service"}, status=404)
        return web.json_response({"service": name, "index": index, "servers": [self._server(one) for one in entries]})

    def _server(self, entry: Entry) -> dict[str, object]:
        drains = state_of(entry) is State.DRAINING and not self.is_slow_to_apply
        return {
            "id": entry.service.id,
            "address": entry.address,
            "port": entry.service.port,
            "release": "v1",
            "state": "draining" if drains else "ready",
            "weight": 1,
            "requests": self.requests,
        }


@dataclass
class Lab:
    options: Options
    engine: Engine
    catalog: Consul
    names: list[str] = field(default_factory=list)
    gateways: list[Gateway] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None
    _child: asyncio.subprocess.Process | None = None

    # Containers

    async def own(self, service: str, script: str = f"exec busybox {WEB}", **labels: Any) -> str:
        """The name of one of Pierhead's own containers, which runs: published, stopped by SIGCONT."""
        values: dict[str, Any] = {
            Label.PORTS: [{"name": "web", "port": 8000, "protocol": "http", "service": service}],
            Label.HEALTH: {"probe": "http", "path": "/", "port": "web", "interval_seconds": 0.2, "timeout_seconds": 1},
            Label.STOP: {"drain_seconds": 10, "stop_seconds": 5},
            **{f"pier.{key}": value for key, value in labels.items()},
        }
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
        base = {
            Label.CLUSTER: self.options.cluster,
            Label.APP: "notes",
            Label.ENVIRONMENT: "dev",
            Label.RELEASE: "v1",
        }
        return await self.container(script, {**base, **texts}, {"StopSignal": "SIGCONT", "StopTimeout": 20})

    async def container(
        self, script: str, labels: Mapping[str, str] | None = None, more: Mapping[str, Any] | None = None
    ) -> str:
        """The name of a container that runs."""
        name = f"pier-agent-lab-{uuid.uuid4().hex[:8]}"
        self.names.append(name)
        host = {"PortBindings": {"8000/tcp": [{"HostPort": "0"}]}, "Init": True}
        body = {"Image": IMAGE, "Cmd": [script], "Labels": dict(labels or {}), "HostConfig": host, **(more or {})}
        await containers.create(self.engine, body, name=name)
        await containers.start(self.engine, name)
        return name

    async def service(self, service: str, script: str, replicas: int) -> str:
        """The name of an engine service as a release makes it."""
        labels = {
            Label.CLUSTER: self.options.cluster,
            Label.APP: "notes",
            Label.ENVIRONMENT: "dev",
            Label.RELEASE: "v1",
            Label.PORTS: json.dumps([{"name": "web", "port": 8000, "protocol": "http", "service": service}]),
            Label.HEALTH: '{"probe": "http", "path": "/", "port": "web", "interval_seconds": 1, "timeout_seconds": 1}',
            Label.STOP: '{"drain_seconds": 10, "stop_seconds": 5}',
        }
        spec = ServiceSpec(
            name=f"{self.options.cluster}-{uuid.uuid4().hex[:6]}",
            image=IMAGE,
            replicas=replicas,
            labels=labels,
            arguments=[script],
            ports=[Port(8000)],
            stop_signal="SIGCONT",
            stop_grace=timedelta(seconds=15),
        )
        await services.create(self.engine, spec)
        return spec.name

    async def remove_service(self, name: str) -> None:
        """It is gone, its containers first: the engine does not survive another order (`services.remove`)."""
        there = await services.inspect(self.engine, name)
        await services.scale(self.engine, there, 0)

        async def is_over() -> bool:
            mine = [task for task in await tasks.listing(self.engine, there.labels) if task.service == there.id]
            return not any(task.is_alive or task.is_being_forgotten for task in mine)

        await until(is_over, 60, f"{name} ends")
        await services.remove(self.engine, name)

    async def runs(self, name: str) -> bool:
        return (await containers.inspect(self.engine, name)).running

    async def ended(self, name: str) -> bool:
        return not await self.runs(name)

    async def exit_code(self, name: str) -> int:
        return (await containers.inspect(self.engine, name)).exit_code

    # The catalog

    async def entries(self, service: str) -> tuple[Entry, ...]:
        return (await health.service(self.catalog, service))[0]

    async def is_in(self, wanted: State, service: str, count: int = 1) -> bool:
        found = [state_of(entry) for entry in await self.entries(service)]
        return found == [wanted] * count

    async def passes(self, service: str, count: int = 1) -> None:
        await until(lambda: self.is_in(State.HEALTHY, service, count), what=f"{service} passes")

    async def is_gone(self, service: str) -> bool:
        return not await self.entries(service)

    async def index(self) -> int:
        """Of the last change to any check."""
        return (await health.state(self.catalog))[1]

    async def gateway(self, name: str) -> Gateway:
        found = Gateway(name, self.catalog)
        await found.start()
        self.gateways.append(found)
        return found

    # The agent

    def at(self, url: str, catalog: Consul) -> Lab:
        """The same with another catalog; containers and agents are this one's too."""
        self.options, self.catalog = replace(self.options, catalog_url=url), catalog
        return self

    @property
    def task(self) -> asyncio.Task[None]:
        """The agent in this process."""
        assert self._task
        return self._task

    async def start(self, tell: Callable[[str], None] = lambda problem: None, **changes: Any) -> None:
        """The agent runs in this process."""
        self.options = replace(self.options, **changes)
        self._task = asyncio.ensure_future(loop.run(self.options, tell))  # noqa: TID251

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def start_child(self) -> None:
        """The agent runs in a process of its own, which can be killed."""
        o = self.options
        self._child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from pierhead.cli.main import main; main()", "agent"),
            *("--engine", o.engine, "--catalog", o.catalog_url, "--advertise", o.advertise),
            *("--data", str(o.data), "--node-name", o.node_name, "--cluster", o.cluster),
        )

    async def kill_child(self) -> None:
        if self._child:
            if self._child.returncode is None:
                self._child.send_signal(signal.SIGKILL)
            await self._child.wait()
            self._child = None


@contextlib.asynccontextmanager
async def lab(folder: Path, socket: str = SOCKET) -> AsyncIterator[Lab]:
    """An engine, a catalog, and an agent that is not started yet. Afterwards nothing of it is left."""
    async with (
        server.serving(server.Options(port=0, data=folder / "catalog")) as address,
        Engine(socket) as engine,
        Consul(address.url) as catalog,
    ):
        await small.image(engine)
        mark = uuid.uuid4().hex[:8]
        options = Options(
            engine=socket,
            catalog_url=address.url,
            advertise="127.0.0.1",
            data=folder / "agent",
            node_name=f"lab-{mark}",
            cluster=f"lab-{mark}",
            look=timedelta(milliseconds=200),
            services=folder / "services.d",
            services_look=timedelta(milliseconds=50),
        )
        found = Lab(options, engine, catalog)
        try:
            yield found
        finally:
            await found.stop()
            await found.kill_child()
            for gateway in found.gateways:
                await gateway.stop()
            for name in found.names:
                with contextlib.suppress(errors.NotFound):
                    await containers.remove(engine, name, force=True)


class Way:
    """The way to the engine: a socket that can be closed without touching the engine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_deaf = False
        """No event comes through, although the stream is open."""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._events: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._pass, str(self.path))

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        self.path.unlink(missing_ok=True)

    async def refuse(self) -> None:
        """Events still come, and nothing else can be asked."""
        if self._server:
            self._server.close()
        for writer in self._open - self._events:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(SOCKET.removeprefix("unix://"))
        self._open |= {writer, back}
        with contextlib.suppress(OSError):
            request = await reader.read(1 << 16)
            self._events |= {writer, back} if b"/events" in request else set()
            back.write(request)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, back))
                group.create_task(_copy(there, writer, lambda: self.is_deaf and b"/events" in request))
        self._open -= {writer, back}


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_lost: Callable[[], bool] = lambda: False
) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            if not is_lost():
                writer.write(data)
                await writer.drain()
    writer.close()


def state_of(entry: Entry) -> State:
    return state({check.id: check.status for check in entry.checks}, entry.service.id)
