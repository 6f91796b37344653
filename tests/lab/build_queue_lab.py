"""The build queue with a real engine and a real registry, for builds that run one command in a small base image."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pierhead.build import kitchen, loop
from pierhead.control import builds
from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.kit import errors
from pierhead.model.build import Build
from pierhead.model.keys import Keys
from pierhead.settings import Build as BuildSettings
from pierhead.settings import Registry as RegistrySettings
from pierhead.settings import Settings
from pierhead.store import journal, session
from pierhead.store.journal import Subject
from pierhead.testing import registry
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import containers, images
from pierhead.wire.docker.client import Engine
from pierhead.wire.gateway.client import Gateways

SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


@dataclass
class Place:
    ctx: Context
    base: str
    folder: Path

    def commit(self, app: str, command: str, more: str = "") -> tuple[str, str]:
        """The address of a repository, and a commit in it whose build runs that command."""
        work = self.folder / app
        if not work.exists():
            work.mkdir()
            git(work, "init", "-q", "-b", "main")
        (work / "pier.yaml").write_text(
            f"app: {app}\nbuild:\n  base: {self.base}\n  command: [sh, -c, {command!r}]\n{more}"
        )
        git(work, "add", "-A")
        git(work, "-c", "user.name=Ada", "-c", "user.email=ada@localhost", "commit", "-qm", "x", "--allow-empty")
        return str(work), git(work, "rev-parse", "HEAD")

    async def queue(self, app: str, command: str, more: str = "") -> int:
        source, commit = self.commit(app, command, more)
        return (await builds.request(self.ctx, app, "", source, commit)).id

    async def ended(self, build_id: int) -> Build:
        await until(lambda: self._has_ended(build_id))
        return await builds.find(self.ctx, build_id)

    async def _has_ended(self, build_id: int) -> bool:
        return (await builds.find(self.ctx, build_id)).state.has_ended

    async def log(self, build_id: int) -> list[str]:
        async with self.ctx.store.read() as db:
            return [f"{e.step}: {e.text}" for e in await journal.after(db, Subject.BUILD, build_id, 0)]

    async def wrote(self, build_id: int, line: str) -> None:
        async def there() -> bool:
            found = await self.log(build_id)
            assert line in found or not await self._has_ended(build_id), found
            return line in found

        await until(there)

    async def containers(self) -> list[str]:
        found = await containers.listing(self.ctx.engine, {"label": [f"{kitchen.OWNER}={self.ctx.owner}"]}, all_=True)
        return [one.id for one in found]

    async def no_containers(self) -> bool:
        return not await self.containers()

    @asynccontextmanager
    async def working(self, **told: object) -> AsyncIterator[None]:
        """The queue is worked off meanwhile."""
        settings = replace(self.ctx.settings, build=replace(self.ctx.settings.build, **told))  # type: ignore[arg-type]
        task = asyncio.get_running_loop().create_task(loop.run(replace(self.ctx, settings=settings)))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(120):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


def git(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return ended.stdout.strip()


def small_system() -> bytes:
    """A tar with a shell."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        tar.add(shutil.which("busybox") or "/bin/busybox", "bin/busybox")
        for name in ("sh", "sleep", "echo", "tail", "mkdir", "cat", "seq"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return target.getvalue()


@asynccontextmanager
async def placed(folder: Path) -> AsyncIterator[Place]:
    """A registry, and a queue that nobody works off yet. Nothing of it is left in the engine."""
    name = f"queue-{uuid.uuid4().hex[:8]}"
    (folder / "registry").mkdir()
    async with (
        registry.serving(folder / "registry") as address,
        Engine(SOCKET) as engine,
        session.opened(folder / "pier.db") as store,
    ):
        await images.import_(engine, small_system(), name, "1")
        settings = Settings(
            home=folder,
            registry=RegistrySettings(port=int(address.rpartition(":")[2])),
            retain_releases=1,
            build=BuildSettings(concurrency=2, cpus=0.5, memory_bytes=48 << 20),
        )
        settings.registry_config.parent.mkdir()
        settings.registry_config.symlink_to(folder / "registry" / "registry.yml")
        catalog = Consul("http://127.0.0.1:9")
        ctx = Context(
            store,
            settings,
            f"owner-{name}",
            Keyring(Keys(bytes(32))),
            engine,
            catalog,
            Gateways(),
            Keyring(Keys(bytes(32))),
        )
        yield Place(ctx, f"{name}:1", folder)
        for value in await images.listing(engine):
            for tag in [*(value.get("RepoTags") or ()), *(value.get("RepoDigests") or ())]:
                if tag.startswith((f"{name}:", f"{address}/")):
                    with contextlib.suppress(errors.NotFound):
                        await images.remove(engine, tag, force=True)
