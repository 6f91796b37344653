"""A server and a node's agent with a network between them that can be cut, and instances on the real engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from tests.lab.agent_lab import SOCKET, Lab, lab, until

from pierhead import client
from pierhead.agent import channel
from pierhead.agent.dot_pier import DotPier
from pierhead.agent.endpoint import Node
from pierhead.api import app
from pierhead.boot import server
from pierhead.client import socket
from pierhead.control import builds, releases, tokens
from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.kit import errors
from pierhead.model import dot_pier
from pierhead.model.app import Spec
from pierhead.model.instance import Label
from pierhead.model.keys import Keys
from pierhead.release import simulate
from pierhead.settings import Api, Catalog, Settings
from pierhead.store import session
from pierhead.store import tokens as stored_tokens
from pierhead.store.releases import Image
from pierhead.testing.ports import free_port
from pierhead.testing.small import IMAGE
from pierhead.testing.whole import PIER
from pierhead.wire.channel import terminal
from pierhead.wire.channel.terminal import Heard, Said
from pierhead.wire.docker import services, tasks
from pierhead.wire.docker.services import Mount, ServiceSpec
from pierhead.wire.gateway.client import Gateways

TOKEN = "a-user's-token"
NODE = "lab-node"
APP, ENVIRONMENT = "spoken", "dev"


class Network:
    """TCP from `port` to `target`, as long as it is not cut."""

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self.lost = ""
        """What does not arrive any more, without either end being told: `to the node`, `to the server`."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def mend(self) -> None:
        self.lost = ""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Every connection is broken, and none is made."""
        if self._server:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(reader, back))
            group.create_task(self._pump(there, writer, is_to_node=True))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_to_node: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if self.lost in ("", "to the server" if is_to_node else "to the node"):
                    writer.write(data)
                    await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()  # a cut ends what is still on its way
        self._writers.discard(writer)


@dataclass
class Watch:
    """Whoever watches a command: takes what it writes at once."""

    socket: aiohttp.ClientWebSocketResponse
    out: bytes = b""
    err: bytes = b""
    session: str = ""
    exit_code: int | None = None
    error: errors.PierError | None = None

    async def say(self, kind: Said, data: bytes = b"", **body: Any) -> None:
        await self.socket.send_bytes(terminal.message(kind, **body) if body else bytes([kind]) + data)

    async def hear(self) -> bool:
        """False when there is nothing more."""
        async with asyncio.timeout(60):
            message = await self.socket.receive()
        if message.type is not aiohttp.WSMsgType.BINARY:
            return False
        kind, data = message.data[0], message.data[1:]
        match kind:
            case Heard.STDOUT:
                self.out += data
            case Heard.STDERR:
                self.err += data
            case Heard.SESSION:
                self.session = json.loads(data)["session"]
            case Heard.ENDED:
                self.exit_code = json.loads(data)["exit_code"]
                return False
            case Heard.ERROR:
                self.error = client.error_of(json.loads(data))
                return False
        if kind in (Heard.STDOUT, Heard.STDERR):
            await self.say(Said.TAKEN, output=len(self.out) + len(self.err))
        return True

    async def until(self, text: bytes) -> None:
        while text not in self.out:
            assert await self.hear(), f"{text!r} did not come: {self}"

    async def ended(self) -> int | None:
        while await self.hear():
            pass
        return self.exit_code


@dataclass
class Cloud:
    agents: Lab
    settings: Settings
    network: Network
    folder: Path
    context: Context | None = None
    instance: str = ""
    """The id of an instance with a shell, and `/.pier`."""
    _services: list[str] = field(default_factory=list)
    _serving: asyncio.Task[None] | None = None
    _agent: asyncio.Task[None] | None = None

    @property
    def ctx(self) -> Context:
        assert self.context
        return self.context

    # The server

    async def start_server(self) -> None:
        ready = asyncio.Event()
        self._serving = asyncio.ensure_future(self._serve(ready))  # noqa: TID251
        async with asyncio.timeout(30):
            await ready.wait()

    async def stop_server(self) -> None:
        await _cancelled(self._serving)

    async def _serve(self, ready: asyncio.Event) -> None:
        async with session.opened(self.settings.home / "pier.db") as store, Gateways() as gateways:
            ring = Keyring(Keys(bytes(32)))
            self.context = Context(
                store, self.settings, "lab", ring, self.agents.engine, self.agents.catalog, gateways, ring
            )
            async with store.write() as db:
                await stored_tokens.ensure(db, "admin", TOKEN)
            await server._serve(app.create(self.ctx, dict, simulate.steps), server._listen(self.settings), ready.set)

    @contextlib.asynccontextmanager
    async def another_server(self) -> AsyncIterator[Cloud]:
        """The same cluster, through a server with the same database."""
        other = replace(self, settings=replace(self.settings, api=Api(port=free_port())), context=None)
        await other.start_server()
        try:
            yield other
        finally:
            await other.stop_server()

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[client.Api]:
        async with client.connected(self.settings.api_url, TOKEN) as api:
            yield api

    # The agent

    def options(self, **changes: Any) -> channel.Options:
        return replace(
            channel.Options(
                servers=[f"http://127.0.0.1:{self.network.port}"],
                token_file=self.folder / "node" / "token",
                engine=SOCKET,
                data=self.folder / "node",
                retry=timedelta(milliseconds=300),
            ),
            **changes,
        )

    async def start_agent(self, **changes: Any) -> None:
        node = Node("the-only-one", NODE, "127.0.0.1", self.settings.cluster)
        self._agent = asyncio.ensure_future(channel.run(self.options(**changes), node))  # noqa: TID251
        await self.connects()

    async def stop_agent(self) -> None:
        """It has ended, and the server knows."""
        await _cancelled(self._agent)
        await until(self.is_away, 30, "the server sees it")

    async def connects(self) -> None:
        await until(self._is_connected, 30, "the node connects")

    async def _is_connected(self) -> bool:
        return [node.hello.name for node in self.ctx.channels.connected()] == [NODE]

    async def is_away(self) -> bool:
        return not self.ctx.channels.connected()

    # Instances

    async def run(self, release: str, script: str, image: str = IMAGE, **more: Any) -> str:
        """The id of the container of a new service that runs `script`."""
        labels = {
            Label.CLUSTER: self.settings.cluster,
            Label.APP: APP,
            Label.ENVIRONMENT: ENVIRONMENT,
            Label.RELEASE: release,
        }
        spec = ServiceSpec(
            f"{self.settings.cluster}-{release}",
            image,
            1,
            labels=labels,
            arguments=[script] if script else [],
            mounts=[Mount("bind", str(self.folder / "dot_pier"), dot_pier.TARGET, read_only=True)],
            stop_grace=timedelta(seconds=1),
            **more,
        )
        service = await services.create(self.agents.engine, spec)
        self._services.append(service)
        found = ""

        async def runs() -> bool:
            nonlocal found
            there = [one for one in await self._tasks() if one.service == service and one.is_running]
            found = there[0].container if there else ""
            return bool(found)

        await until(runs, 60, f"{release} runs")
        return found

    async def remove(self) -> None:
        """Scaled to none first: see `services.remove`."""
        engine = self.agents.engine
        for one in self._services:
            await services.scale(engine, await services.inspect(engine, one), 0)

        async def gone() -> bool:
            return not [task for task in await self._tasks() if task.is_alive or task.is_being_forgotten]

        await until(gone, 60, "the tasks have ended")
        for one in self._services:
            await services.remove(engine, one)

    async def _tasks(self) -> list[tasks.Task]:
        return await tasks.listing(self.agents.engine, {Label.CLUSTER: self.settings.cluster})

    # People

    @contextlib.asynccontextmanager
    async def watch(self, *words: str, instance: str = "", **query: str) -> AsyncIterator[Watch]:
        asked = [*(("command", word) for word in words), *query.items()]
        path = f"/instances/{instance or self.instance}/exec"
        async with self.api() as api, socket.opened(api, path, asked) as opened:
            yield Watch(opened)

    async def pier(self, *arguments: str, stdin: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
        mine = {key: value for key, value in os.environ.items() if not key.startswith("PIER_")}
        env: Mapping[str, str] = mine | {
            "PIER_URL": self.settings.api_url,
            "PIER_TOKEN": TOKEN,
            "HOME": str(self.folder),
        }
        return await asyncio.create_subprocess_exec(
            PIER,
            *arguments,
            env=env,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def answer(self, *arguments: str) -> tuple[int | None, str, str]:
        """Exit code, standard output, standard error."""
        process = await self.pier(*arguments)
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


@contextlib.asynccontextmanager
async def cloud(folder: Path) -> AsyncIterator[Cloud]:
    """Server, agent and one instance. Afterwards nothing of it is left."""
    async with lab(folder) as agents:
        home = folder / "server"
        home.mkdir()
        settings = Settings(
            home=home,
            cluster=f"channel-{secrets.token_hex(3)}",
            api=Api(port=free_port()),
            catalog=Catalog(url=agents.options.catalog_url),
        )
        found = Cloud(agents, settings, Network(settings.api.port), folder)
        DotPier(folder / "dot_pier").prepare()
        try:
            await found.start_server()
            await _known(found.ctx)
            (folder / "node").mkdir()
            found.options().token_file.write_text(await tokens.create(found.ctx, NODE))
            await found.network.mend()
            await found.start_agent()
            found.instance = await found.run("v1", "trap 'exit 0' TERM; while :; do sleep 1 & wait; done")
            yield found
        finally:
            await found.stop_agent()
            await found.network.cut()
            await found.stop_server()
            await found.remove()


def python(*arguments: str) -> Sequence[str]:
    """How `pier` runs as a process that can be killed."""
    return (sys.executable, "-c", "from pierhead.cli.main import main; main()", *arguments)


async def _known(ctx: Context) -> None:
    """The app is known to the server."""
    await builds.request(ctx, APP, ENVIRONMENT, "https://git.example/spoken", "main")
    build = await builds.claim(ctx)
    assert build
    spec = Spec(APP)
    assert await releases.propose(ctx, build, spec, Image("registry/spoken@sha256:1", "c0ffee", "A commit"))


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    if task:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
