"""An engine of a test's own, in a network namespace of its own, which may be killed as nobody else's may."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.agent_lab import until

from pierhead.kit import errors, process
from pierhead.wire.docker.client import Engine


@dataclass
class OwnEngine:
    """`socket` is where it answers while it runs. Its containers are reached from inside its namespace only."""

    name: str
    folder: Path
    _child: asyncio.subprocess.Process | None = None

    @property
    def socket(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    async def start(self) -> None:
        """It answers."""
        self._forget_the_dead()
        own = (f"--data-root={self.folder}/data", f"--exec-root={self.folder}/run", f"--pidfile={self.folder}/pid")
        with (self.folder / "log").open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *("nsenter", f"--net=/run/netns/{self.name}", "dockerd", f"--host={self.socket}", *own),
                stdout=log,
                stderr=log,
            )
        async with Engine(self.socket) as engine:
            await until(lambda: _answers(engine), 60, f"the engine answers: {self.folder}/log")

    async def shut_down(self) -> None:
        """It has ended all its containers and itself, as when its machine goes down."""
        if self._child:
            self._child.terminate()
            await self._child.wait()
            self._child = None

    async def kill(self) -> None:
        """It is dead, as by kill -9. Its containers may run on."""
        if self._child:
            self._child.kill()
            await self._child.wait()
            self._child = None

    def _forget_the_dead(self) -> None:
        for file in (self.folder / "pid", self.folder / "run" / "containerd" / "containerd.pid"):
            if file.exists() and not process.runs(int(file.read_text())):
                file.unlink()


@contextlib.asynccontextmanager
async def own_engine() -> AsyncIterator[OwnEngine]:
    """An engine that is not started yet. Afterwards nothing of it is left."""
    name = f"own-{secrets.token_hex(3)}"
    await asyncio.to_thread(_run, "ip", "netns", "add", name)
    await asyncio.to_thread(_run, "ip", "-n", name, "link", "set", "lo", "up")
    found = OwnEngine(name, Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=f"{name}-")))
    try:
        yield found
    finally:
        await found.kill()
        await asyncio.to_thread(_remove, found)


async def _answers(engine: Engine) -> bool:
    try:
        await engine.get("/version")
    except errors.Unavailable:
        return False
    return True


def _remove(engine: OwnEngine) -> None:
    """An engine that was killed leaves processes, and its folder mounted."""
    while pids := _run("ip", "netns", "pids", engine.name).split():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    _run("ip", "netns", "del", engine.name)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{engine.folder}/")), reverse=True):
        _run("umount", "--lazy", mount)
    shutil.rmtree(engine.folder)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
