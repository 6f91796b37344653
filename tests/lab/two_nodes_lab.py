"""Two engines in one swarm on one machine: each in a network namespace of its own, with a wire between the two.

Server, gateway, catalog and agents run outside, with a wire to each; nothing of it is left afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from tests.lab.agent_lab import until

from pierhead import settings
from pierhead.agent import loop as agent
from pierhead.agent.options import Options as AgentOptions
from pierhead.api import app
from pierhead.catalog import server as catalog
from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.gateway import loop as gateway
from pierhead.gateway.options import Options as GatewayOptions
from pierhead.kit import errors
from pierhead.model.keys import Keys
from pierhead.release import loop as release
from pierhead.release import simulate
from pierhead.store import session, tokens
from pierhead.testing import brisk
from pierhead.testing.ports import free_port
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import images, swarm
from pierhead.wire.docker.client import Engine
from pierhead.wire.gateway.client import Gateways

IMAGE = "127.0.0.1:9/pier-brisk:1"
"""Both engines have it, and are refused at once where they would pull it from."""
TOKEN = "two-nodes"


@dataclass(frozen=True)
class Machine:
    """One of the two."""

    name: str
    address: str
    """As seen from outside."""
    peer: str
    """As the other one sees it."""
    folder: Path

    @property
    def outside(self) -> str:
        """The address under which it reaches this machine."""
        network, _, number = self.address.rpartition(".")
        return f"{network}.{int(number) - 1}"

    @property
    def socket(self) -> str:
        return f"unix://{self.folder}/docker.sock"


@dataclass(frozen=True)
class Nodes:
    ctx: Context
    engines: Sequence[Engine]
    """The first one's is the manager's."""
    names: Sequence[str]
    gateway: str

    async def pier(self, *arguments: str) -> str:
        """What a person would type, and what it printed."""
        api = self.ctx.settings.api
        environment = {**os.environ, "PIER_URL": f"http://{api.host}:{api.port}", "PIER_TOKEN": TOKEN}
        command = (sys.executable, "-c", "from pierhead.cli.main import main; main()", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, complained = await process.communicate()
        assert process.returncode == 0, complained.decode()
        return said.decode()


@contextlib.asynccontextmanager
async def engines_of(machines: Sequence[Machine]) -> AsyncIterator[Sequence[Engine]]:
    """Their engines in one swarm, each with the image."""
    async with contextlib.AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(Engine(machine.socket)) for machine in machines]
        for engine in engines:
            await until(lambda engine=engine: _answers(engine), 60, "the engine answers")  # type: ignore[misc]
        await _joined(engines, machines)
        for engine in engines:
            await images.tag(engine, await brisk.image(engine), *IMAGE.rsplit(":", 1))
        yield engines


@contextlib.asynccontextmanager
async def nodes(data: Path) -> AsyncIterator[Nodes]:
    mark = secrets.token_hex(2)
    with two_machines(mark) as machines:
        async with engines_of(machines) as engines, contextlib.AsyncExitStack() as stack:
            address = await stack.enter_async_context(catalog.serving(catalog.Options(port=0, data=data / "catalog")))
            ctx = await _context(stack, engines[0], address.url, data, f"two-{mark}")
            running = await stack.enter_async_context(_running())
            for machine in machines:
                running.create_task(agent.run(_agent(machine, ctx)))
            options = _gateway(address.url, data)
            stack.push_async_callback(gateway.stop_haproxy, options.data)
            running.create_task(gateway.run(options))
            running.create_task(release.run(ctx))
            running.create_task(_serve(ctx))
            yield Nodes(ctx, engines, [one.name for one in machines], f"http://127.0.0.1:{options.http_port}")


class _Tasks:
    def __init__(self) -> None:
        self.all: list[asyncio.Task[None]] = []

    def create_task(self, work: Coroutine[Any, Any, None]) -> None:
        self.all.append(asyncio.ensure_future(work))  # noqa: TID251


@contextlib.asynccontextmanager
async def _running() -> AsyncIterator[_Tasks]:
    """What was begun inside is cancelled behind it; what failed is told."""
    tasks = _Tasks()
    try:
        yield tasks
    finally:
        failed = [task.exception() for task in tasks.all if task.done() and not task.cancelled()]
        for task in reversed(tasks.all):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert not any(failed), failed


def _agent(machine: Machine, ctx: Context) -> AgentOptions:
    return AgentOptions(
        engine=machine.socket,
        catalog_url=ctx.settings.catalog_url,
        advertise=machine.address,
        data=machine.folder / "agent",
        node_name=machine.name,
        mount=ctx.settings.mount,
        cluster=ctx.settings.cluster,
        look=timedelta(milliseconds=500),
    )


def _gateway(url: str, data: Path) -> GatewayOptions:
    return GatewayOptions(
        name="two-nodes",
        catalog_url=url,
        host="127.0.0.1",
        http_port=free_port(),
        admin_host="127.0.0.1",
        admin_port=free_port(),
        data=data / "gateway",
    )


async def _context(stack: contextlib.AsyncExitStack, engine: Engine, url: str, data: Path, cluster: str) -> Context:
    store = await stack.enter_async_context(session.opened(data / "pier.db"))
    consul = await stack.enter_async_context(Consul(url))
    gateways = await stack.enter_async_context(Gateways())
    chosen = settings.Settings(
        home=data,
        cluster=cluster,
        api=settings.Api(port=free_port()),
        catalog=settings.Catalog(mode="consul", url=url),
        agent=settings.Agent(mount=str(data / "mount")),
    )
    async with store.write() as db:
        await tokens.ensure(db, "admin", TOKEN)
    return Context(
        store,
        chosen,
        owner="server-1",
        keys=Keyring(Keys(bytes(32))),
        certificate_keys=Keyring(Keys(bytes(32))),
        engine=engine,
        catalog=consul,
        gateways=gateways,
    )


async def _serve(ctx: Context) -> None:
    config = uvicorn.Config(
        app.create(ctx, dict, simulate.steps),
        host="127.0.0.1",
        port=ctx.settings.api.port,
        log_config=None,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())  # noqa: TID251
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


async def _joined(engines: Sequence[Engine], machines: Sequence[Machine]) -> None:
    """The second engine is a node of the first one's swarm."""
    first, second = machines
    await swarm.init(engines[0], advertise=first.peer, listen=f"{first.peer}:2377")
    token = (await swarm.inspect(engines[0])).worker_token
    where = {"manager": f"{first.peer}:2377", "token": token, "advertise": second.peer}
    await swarm.join(engines[1], **where, listen=f"{second.peer}:2377")

    async def both_ready() -> bool:
        return [node.state for node in await swarm.nodes(engines[0])] == ["ready", "ready"]

    await until(both_ready, 60, "both nodes are ready")


async def _answers(engine: Engine) -> bool:
    try:
        await engine.get("/version")
    except errors.Unavailable:
        return False
    return True


@contextlib.contextmanager
def two_machines(mark: str) -> Iterator[Sequence[Machine]]:
    folder = Path(tempfile.mkdtemp(prefix="pn-", dir="/tmp"))
    network = f"10.213.{int(mark[:2], 16)}"
    machines = [
        Machine(f"n1-{mark}", f"{network}.2", f"{network}.9", folder / "1"),
        Machine(f"n2-{mark}", f"{network}.6", f"{network}.10", folder / "2"),
    ]
    engines: list[subprocess.Popen[bytes]] = []
    try:
        for machine in machines:
            _run("ip", "netns", "add", machine.name)
        first, second = (machine.name for machine in machines)
        _run(*("ip", "link", "add", "eth1", "netns", first, "type", "veth", "peer", "eth1", "netns", second))
        engines += [_engine(machine) for machine in machines]
        yield machines
    finally:
        for engine in engines:
            engine.kill()
            engine.wait(60)
        for machine in machines:
            _end(machine)
        _remove(folder)


def _engine(machine: Machine) -> subprocess.Popen[bytes]:
    """Its network, and its engine in it under a host name of its own."""
    name, outside = machine.name, f"v{machine.name[1:]}"
    near = machine.outside
    machine.folder.mkdir(parents=True)
    _run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
    _run("ip", "address", "add", f"{near}/30", "dev", outside)
    _run("ip", "link", "set", outside, "up")
    for command in (
        ("address", "add", f"{machine.address}/30", "dev", "eth0"),
        ("address", "add", f"{machine.peer}/30", "dev", "eth1"),
        ("link", "set", "eth0", "up"),
        ("link", "set", "eth1", "up"),
        ("link", "set", "lo", "up"),
        ("route", "add", "default", "via", near),
    ):
        _run("ip", "-n", name, *command)
    dockerd = (
        f"hostname {name} && exec dockerd --host={machine.socket} --data-root={machine.folder}/d "
        f"--exec-root={machine.folder}/e --pidfile={machine.folder}/pid"
    )
    log = (machine.folder / "log").open("wb")
    started = ("nsenter", f"--net=/run/netns/{name}", "unshare", "--uts", "sh", "-c", dockerd)
    with log:
        return subprocess.Popen(started, stdout=log, stderr=log)


def _end(machine: Machine) -> None:
    """Nothing runs in its network, and the network is gone."""
    found = subprocess.run(("ip", "netns", "pids", machine.name), capture_output=True, text=True, check=False)
    for pid in found.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), 9)
    _run("ip", "netns", "delete", machine.name)


def _remove(folder: Path) -> None:
    """Engines leave folders mounted."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        _run("umount", "--lazy", mount)
    shutil.rmtree(folder)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
