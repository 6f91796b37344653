"""One gateway with a real HAProxy, the embedded catalog and small backends, all on loopback and ports of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from pierhead.catalog import server
from pierhead.gateway import haproxy, loop
from pierhead.gateway.options import Options
from pierhead.kit import errors, files, process
from pierhead.testing import consul as real
from pierhead.testing.ports import free_port
from pierhead.wire.consul import agent, kv
from pierhead.wire.consul.client import Consul
from pierhead.wire.gateway import client as gateways
from pierhead.wire.gateway.client import Server

STRIKING = Path(__file__).with_name("striking_gateway.py")


async def until(true: Callable[[], Awaitable[object]], seconds: float = 20, what: str = "") -> float:
    """The seconds after which `true` gave something true. A gateway that does not answer is asked again."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        with contextlib.suppress(errors.Unavailable):
            if await true():
                return time.monotonic() - begin
        await asyncio.sleep(0.005)
    raise AssertionError(f"not within {seconds} s: {what or true}")


class Backend:
    """Answers with its name; `/slow` only once `release` is set; `/ws` echoes."""

    def __init__(self, name: str) -> None:
        self.name, self.port = name, free_port()
        self.release = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(
            [web.get("/slow", self._slow), web.get("/ws", self._echo), web.route("*", "/{path:.*}", self._answer)]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {"X-Path": request.path, "X-Seen-For": request.headers.get("X-Forwarded-For", "")}
        return web.Response(text=self.name, headers=headers)

    async def _slow(self, _: web.Request) -> web.Response:
        await self.release.wait()
        return web.Response(text=self.name)

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        channel = web.WebSocketResponse()
        await channel.prepare(request)
        async for message in channel:
            await channel.send_str(f"{self.name}: {message.data}")
        return channel


@dataclass
class Lab:
    options: Options
    catalog: Consul
    session: aiohttp.ClientSession
    scope: contextlib.AsyncExitStack
    """Of the catalog."""
    backends: list[Backend] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None
    _nursery: asyncio.subprocess.Process | None = None
    """Starts controllers in processes of their own."""
    _child: int = 0
    """The pid of such a controller."""

    @property
    def admin(self) -> str:
        return f"http://{self.options.admin_host}:{self.options.admin_port}"

    async def backend(self, name: str) -> Backend:
        found = Backend(name)
        await found.start()
        self.backends.append(found)
        return found

    async def route(self, name: str, **fields: Any) -> None:
        assert await kv.put(self.catalog, f"pier/routes/{name}", json.dumps(fields).encode())

    async def unroute(self, name: str) -> None:
        assert await kv.delete(self.catalog, f"pier/routes/{name}")

    async def register(
        self, service: str, backend: Backend, *, release: str = "", status: str = "passing", id_: str = "", **meta: str
    ) -> None:
        check = agent.Check(ttl=timedelta(hours=1), status=status)
        meta |= {"pier-release": release} if release else {}
        name = id_ or backend.name
        await agent.register(
            self.catalog,
            agent.Registration(service, name, "127.0.0.1", backend.port, meta=meta, checks=(check,)),
        )

    async def check(self, backend: Backend, status: str) -> None:
        await agent.update_check(self.catalog, f"service:{backend.name}", status)

    async def drain(self, backend: Backend, *, enable: bool = True) -> None:
        await agent.maintenance(self.catalog, backend.name, enable=enable)

    async def deregister(self, backend: Backend) -> None:
        await agent.deregister(self.catalog, backend.name)

    async def get(self, host: str, path: str = "/") -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.options.http_port}{path}"
        try:
            async with self.session.get(url, headers={"Host": host}) as response:
                return response.status, await response.text()
        except aiohttp.ClientError as error:
            return 0, repr(error)

    async def answers(self, host: str, status: int, text: str = "", path: str = "/") -> bool:
        found = await self.get(host, path)
        return found[0] == status and text in found[1]

    async def status(self) -> dict[str, Any]:
        return await gateways.status(self.admin)

    async def reloads(self) -> int:
        return int((await self.status())["haproxy"]["reloads"])

    async def has_nothing_pending(self) -> bool:
        return not (await self.status())["haproxy"]["pending"]

    async def has_reloaded(self, times: int) -> bool:
        return await self.reloads() == times

    async def server(self, service: str, backend: Backend) -> Server | None:
        found = await gateways.service(self.admin, service)
        return next((one for one in found.servers if one.id == backend.name), None) if found else None

    async def is_in(self, state: str, service: str, backend: Backend) -> bool:
        found = await self.server(service, backend)
        return bool(found and found.state == state)

    @contextlib.asynccontextmanager
    async def another_catalog(self, folder: Path) -> AsyncIterator[None]:
        """In place of the catalog there is an empty one, at the same address."""
        await self.scope.aclose()
        port = int(self.catalog.url.rsplit(":", 1)[1])
        async with server.serving(server.Options(port=port, data=folder)):
            yield

    @contextlib.asynccontextmanager
    async def a_consul_instead(self, folder: Path) -> AsyncIterator[None]:
        """In place of the catalog there is a real Consul that knows nothing, at the same address."""
        await self.scope.aclose()
        async with real.serving(folder, port=int(self.catalog.url.rsplit(":", 1)[1])):
            yield

    async def start(self) -> None:
        """The controller runs in this process."""
        self._task = asyncio.ensure_future(loop.run(self.options))  # noqa: TID251
        await until(lambda: self.answers("nobody.test", 404), what="HAProxy serves")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def start_child(self) -> None:
        """The controller runs in a process of its own, which can be killed, and can be told to strike."""
        o = self.options
        if self._nursery is None:
            self._nursery = await asyncio.create_subprocess_exec(
                *(sys.executable, str(STRIKING), o.catalog_url, str(o.http_port), str(o.admin_port), str(o.data)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        assert self._nursery.stdin
        assert self._nursery.stdout
        self._nursery.stdin.write(b"\n")
        self._child = int(await self._nursery.stdout.readline())
        await until(lambda: self.answers("nobody.test", 404), 60, "HAProxy serves")
        await until(self._is_up, 60, "the status API answers")

    async def strike(self, step: str, victim: str) -> None:
        """At that step of the next change the victim is killed by the controller's own process."""
        self.struck.unlink(missing_ok=True)
        files.replace(self.options.data / "strike.json", json.dumps({"step": step, "victim": victim}))

    @property
    def struck(self) -> Path:
        """There once the victim was killed."""
        return self.options.data / "struck.json"

    async def has_ended(self) -> bool:
        """The controller's process is gone."""
        return not process.runs(self._child)

    async def kill_child(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            kill(self._child)
        await until(self.has_ended)
        self._child = 0

    async def close(self) -> None:
        """Nothing of it runs any more."""
        for backend in self.backends:
            backend.release.set()
        await self.stop()
        if self._child:
            await self.kill_child()
        if self._nursery:
            self._nursery.kill()
            await self._nursery.wait()
        await haproxy.stop(self.options.data, timedelta(seconds=1))
        for backend in self.backends:
            await backend.stop()

    async def _is_up(self) -> bool:
        try:
            return bool((await self.status())["haproxy"]["pid"])
        except Exception:  # noqa: BLE001
            return False


@contextlib.asynccontextmanager
async def lab(folder: Path, **changes: Any) -> AsyncIterator[Lab]:
    """A catalog and a gateway that is not started yet, with `changes` of its options. Afterwards nothing of it runs."""
    async with contextlib.AsyncExitStack() as scope:
        serving = server.serving(server.Options(port=0, data=folder / "catalog"))
        address = await scope.enter_async_context(serving)
        async with Consul(address.url) as catalog, aiohttp.ClientSession() as session:
            options = Options("lab", address.url, "127.0.0.1", free_port(), "127.0.0.1", free_port(), folder / "gw")
            options = replace(options, **changes)
            found = Lab(options, catalog, session, scope)
            try:
                yield found
            finally:
                await found.close()


@contextlib.asynccontextmanager
async def asking(url: str) -> AsyncIterator[Callable[[str], Awaitable[tuple[int, str]]]]:
    """A function that gives what a host name is answered there: 0 for nothing."""
    async with aiohttp.ClientSession() as session:

        async def ask(host: str) -> tuple[int, str]:
            try:
                async with session.get(url, headers={"Host": host}) as response:
                    return response.status, await response.text()
            except aiohttp.ClientError as error:
                return 0, repr(error)

        yield ask


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
