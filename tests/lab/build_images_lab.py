"""Commits that are built with a real engine and a real registry, and run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import aiohttp

from pierhead.build import image, source
from pierhead.build.image import Image, Limits, Request
from pierhead.build.source import Commit
from pierhead.kit import errors
from pierhead.model.app import BuildSpec
from pierhead.testing import bases, registry
from pierhead.wire.docker import containers
from pierhead.wire.docker import images as engine_images
from pierhead.wire.docker.client import Engine
from pierhead.wire.oci.access import Access
from pierhead.wire.oci.client import Registry

EXAMPLES = Path(__file__).parents[2] / "examples"
SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
LABEL = "pier.test"
SECONDS = 30


@dataclass
class Place:
    engine: Engine
    access: Access
    folder: Path
    log: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    def repository(self, example: str = "") -> Path:
        """A git repository of its own, with the example in it."""
        folder = Path(tempfile.mkdtemp(dir=self.folder)) / "work"
        if example:
            shutil.copytree(EXAMPLES / example, folder)
        else:
            folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        return folder

    async def build(
        self, folder: Path, app: str, spec: BuildSpec | None = None, secrets: Mapping[str, bytes] = MappingProxyType({})
    ) -> Image:
        """The image of what is in the folder now."""
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", "Commit")
        bare = folder.with_name("bare.git")
        commit = await source.fetch(bare, str(folder), "main")
        self.log.clear()
        found = await image.build_and_push(replace(self.request(commit, bare, app, spec), secrets=secrets), self.note)
        self.made.append(found.reference)
        return found

    def request(self, commit: Commit, bare: Path, app: str, spec: BuildSpec | None = None) -> Request:
        limits = Limits(cpus=0, memory_bytes=1 << 30)
        return Request(app, commit, bare, spec or BuildSpec(), self.access, self.engine, limits)

    @property
    def registry(self) -> str:
        return self.access.address

    async def note(self, step: str, text: str) -> None:
        self.log.append(f"{step}: {text}")

    @contextlib.asynccontextmanager
    async def running(self, made: Image) -> AsyncIterator[str]:
        """The address of a container of the image, once it answers `/healthz`."""
        account = self.access.account
        known = engine_images.Credentials(account.username, account.password, self.access.host) if account else None
        async for _ in engine_images.pull(self.engine, made.reference, known):
            pass
        body = {
            "Image": made.reference,
            "Env": ["PORT=8000"],
            "Labels": {LABEL: "build"},
            "ExposedPorts": {"8000/tcp": {}},
            "HostConfig": {
                "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
                "Tmpfs": {"/data": ""},
                "Init": True,
            },
        }
        container = await containers.create(self.engine, body)
        try:
            await containers.start(self.engine, container)
            binding = (await containers.inspect(self.engine, container)).ports["8000/tcp"][0]
            url = f"http://127.0.0.1:{binding.port}"
            await eventually(lambda: answers(f"{url}/healthz"))
            yield url
        finally:
            await containers.remove(self.engine, container, force=True)


def git(folder: Path, *arguments: str) -> None:
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost")
    subprocess.run(["git", "-C", folder, *author, *arguments], check=True, capture_output=True)


async def answers(url: str) -> bool:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


async def get(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, str], str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, {name.title(): text for name, text in response.headers.items()}, await response.text()


async def eventually(condition: Callable[[], Awaitable[bool]], limit: timedelta = timedelta(seconds=SECONDS)) -> None:
    async with asyncio.timeout(limit.total_seconds()):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def placed(folder: Path, names: Sequence[str]) -> AsyncIterator[Place]:
    """A registry with these base images. Nothing of it is left in the engine."""
    (folder / "registry").mkdir()
    (folder / "work").mkdir()
    async with registry.serving(folder / "registry") as address, Engine(SOCKET) as engine:
        async with Registry(address) as connected:
            await bases.seed(connected, names)
        yield Place(engine, Access(address), folder / "work")
        for value in await engine_images.listing(engine):
            for name in [*(value.get("RepoDigests") or ()), *(value.get("RepoTags") or ())]:
                if name.startswith(f"{address}/"):
                    with contextlib.suppress(errors.PierError):
                        await engine_images.remove(engine, name, force=True)
