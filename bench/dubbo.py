"""A real Dubbo provider in a container, beside the same provider without Pierhead: can a consumer elsewhere call it?

    sudo scripts/machine dubbo .venv/bin/python bench/dubbo.py

Apache Dubbo 2.6 and its ZooKeeper are fetched from Maven Central (`mvn`, `javac` and `java` must be there: Debian's
maven and default-jdk-headless). The consumer runs in a network of its own, which has no way to the engine's bridge, as
on any other machine. The provider is an app that knows nothing of containers: it exports port 20880.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from pierhead.kit import address, errors
from pierhead.model import dot_pier
from pierhead.model.instance import Label
from pierhead.testing import ports, small
from pierhead.wire.consul import health
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import containers
from pierhead.wire.docker.client import Engine

SOCKET = os.environ.get("PIER_ENGINE_SOCKET", "unix:///var/run/docker.sock")
PIER = (sys.executable, "-c", "from pierhead.cli.main import main; main()")
SOURCES = Path(__file__).with_name("dubbo")
FLAGS = ("--add-opens", "java.base/java.lang=ALL-UNNAMED", "-XX:-UsePerfData", "-Duser.home=/", "-Djava.io.tmpdir=/")
CALLS = 100
PROVIDERS = "/dubbo/pierhead.Greeting/providers"


@dataclass(frozen=True, slots=True)
class Place:
    engine: Engine
    folder: Path
    java: str
    here: str
    """This machine's address, as others reach it."""
    zookeeper: str
    cluster: str
    network: str
    """Where the consumer runs."""

    @property
    def classes(self) -> str:
        return f"{self.folder}/jars/*:{self.folder}/classes"


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pier-dubbo-") as made, _elsewhere() as network:
        folder = Path(made)
        _build(folder)
        here, (zookeeper, catalog) = address.own(), ports.free(2)
        java = _java()
        async with Engine(SOCKET) as engine, contextlib.AsyncExitStack() as stack:
            place = Place(engine, folder, java, here, f"{here}:{zookeeper}", f"dubbo-{os.getpid()}", network)
            await small.image(engine)
            server = ("org.apache.zookeeper.server.ZooKeeperServerMain", str(zookeeper), f"{folder}/zookeeper")
            await stack.enter_async_context(_program(java, "-cp", place.classes, *server))
            told = ("catalog", "--listen", f"127.0.0.1:{catalog}", "--data", f"{folder}/catalog")
            await stack.enter_async_context(_program(*PIER, *told))
            consul = await stack.enter_async_context(Consul(f"http://127.0.0.1:{catalog}"))
            await _until(lambda: _answers(consul))
            where = ("--engine", SOCKET, "--catalog", f"http://127.0.0.1:{catalog}", "--advertise", here)
            who = ("--cluster", place.cluster, "--data", f"{folder}/agent", "--node-name", place.cluster)
            await stack.enter_async_context(_program(*PIER, "agent", *where, *who))
            await _until(lambda: _is_there(folder / "agent" / dot_pier.FOLDER / "init"))
            print(f"{'provider in a bridge network':<30} {'registered as':<24} {'calls answered':>14}")
            for name, command, more in (
                ("docker run -p", _provider(place), {}),
                ("the same behind /.pier/init", dot_pier.arguments(_provider(place), {}), _told(place)),
            ):
                print(f"{name:<30} {await _measured(place, command, more)}", flush=True)


async def _measured(place: Place, command: Sequence[str], more: dict[str, object]) -> str:
    binds = ["/usr:/usr:ro", "/lib:/lib:ro", "/lib64:/lib64:ro", f"{place.folder}:{place.folder}:ro"]
    binds += [f"{path}:{path}:ro" for path in glob.glob("/etc/java-*")]
    binds += [f"{place.folder}/agent/{dot_pier.FOLDER}:{dot_pier.TARGET}:ro"] if more else []
    published = {"20880/tcp": [{"HostIp": place.here, "HostPort": ""}]}
    entry = [dot_pier.INIT] if more else [command[0]]
    body = {
        "Image": small.IMAGE,
        "Entrypoint": entry,
        "Cmd": list(command if more else command[1:]),
        "ExposedPorts": {"20880/tcp": {}},
        "HostConfig": {"Binds": binds, "PortBindings": published, "Init": True},
        **more,
    }
    name = await containers.create(place.engine, body, name=f"{place.cluster}-{len(more)}")
    await containers.start(place.engine, name)
    try:
        inspected = await containers.inspect(place.engine, name)
        registered = await _registered(place)
        answered = await _called(place)
        await containers.stop(place.engine, name)
    finally:
        await containers.remove(place.engine, name, force=True)
    if more:
        found = {f"{place.here}:{one.port}" for port in inspected.ports.values() for one in port}
        assert registered in found, (registered, found)
    await _until(lambda: _is_forgotten(place, registered), 90)
    return f"{registered:<24} {answered:>8} of {CALLS}"


def _provider(place: Place) -> list[str]:
    return [place.java, *FLAGS, "-cp", place.classes, "pierhead.Provider", place.zookeeper]


def _told(place: Place) -> dict[str, object]:
    port = [{"name": "dubbo", "port": 20880, "protocol": "dubbo", "service": "greeting"}]
    labels = {Label.CLUSTER: place.cluster, Label.APP: "greeting", Label.PORTS: json.dumps(port)}
    return {"Labels": labels, "StopSignal": "SIGCONT"}


async def _registered(place: Place) -> str:
    """Where the provider says that it is reached."""
    end = time.monotonic() + 60
    while not (found := await _providers(place)):
        if time.monotonic() > end:
            raise TimeoutError("no provider is registered")
    return found[0]


async def _providers(place: Place) -> list[str]:
    client = ("org.apache.zookeeper.ZooKeeperMain", "-server", place.zookeeper, "ls", PROVIDERS)
    said = await _output(place.java, "-cp", place.classes, *client)
    return re.findall(r"dubbo://([^/]+)/", unquote(said))


async def _is_forgotten(place: Place, registered: str) -> bool:
    return registered not in await _providers(place)


async def _called(place: Place) -> int:
    inside = ("ip", "netns", "exec", place.network, place.java, *FLAGS, "-cp", place.classes)
    said = await _output(*inside, "pierhead.Consumer", place.zookeeper, str(CALLS))
    return said.count("hello call")


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    async with asyncio.timeout(120):
        said, _ = await process.communicate()
    return said.decode()


def _java() -> str:
    """Where it really is: containers see the folders of this machine, and none of its links in /etc/alternatives."""
    return str(Path(shutil.which("java") or "java").resolve())


def _build(folder: Path) -> None:
    fetch = ("mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars")
    subprocess.run(fetch, cwd=SOURCES, check=True)
    sources = [str(path) for path in SOURCES.glob("*.java")]
    subprocess.run(("javac", "-cp", f"{folder}/jars/*", "-d", f"{folder}/classes", *sources), check=True)
    folder.chmod(0o755)


@contextlib.contextmanager
def _elsewhere() -> Iterator[str]:
    """A network that reaches this machine, and no bridge on it."""
    name = f"pier-dubbo-{os.getpid()}"
    near, far = "10.219.0.1", "10.219.0.2"

    def run(*command: str) -> None:
        subprocess.run(("ip", *command), check=True)

    run("netns", "add", name)
    try:
        run("link", "add", "pier-dubbo", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("address", "add", f"{near}/30", "dev", "pier-dubbo")
        run("link", "set", "pier-dubbo", "up")
        run("-n", name, "address", "add", f"{far}/30", "dev", "eth0")
        run("-n", name, "link", "set", "eth0", "up")
        run("-n", name, "link", "set", "lo", "up")
        run("-n", name, "route", "add", "default", "via", near)
        run("-n", name, "route", "add", "unreachable", "172.16.0.0/12")
        yield name
    finally:
        run("netns", "delete", name)


@contextlib.asynccontextmanager
async def _program(*command: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _answers(consul: Consul) -> bool:
    with contextlib.suppress(errors.PierError):
        await health.service(consul, "none")
        return True
    return False


async def _is_there(path: Path) -> bool:
    return await asyncio.to_thread(path.exists)


async def _until(true: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not await true():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
