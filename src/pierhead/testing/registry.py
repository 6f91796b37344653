"""A real registry for tests and measurements: `docker-registry` on a free port, with a folder of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from pierhead.kit import errors
from pierhead.testing import ports
from pierhead.testing.authority import Authority
from pierhead.wire.oci import distribution
from pierhead.wire.oci.access import Access, Account

_START_LIMIT = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Guard:
    """Whom a registry lets in, over TLS."""

    account: Account
    authority: Authority = field(default_factory=Authority)
    tokens: Mapping[str, Any] = field(default_factory=dict)
    """How it believes tokens of somebody else, instead of passwords (`auth.token`)."""
    host: str = "127.0.0.1"

    def config(self, folder: Path) -> dict[str, Any]:
        cert, key = self.authority.make(self.host).write(folder, "registry")
        (folder / "htpasswd").write_text(distribution.htpasswd([self.account]))
        passwords = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
        tls = {"certificate": str(cert), "key": str(key)}
        return {"auth": {"token": dict(self.tokens)} if self.tokens else passwords, "http": {"tls": tls}}

    def access(self, folder: Path, address: str) -> Access:
        """With the account, and trust in the authority."""
        return Access(address, self.account, str(self.authority.write(folder)))


@asynccontextmanager
async def serving(folder: Path, guard: Guard | None = None, *, data: Path | None = None) -> AsyncIterator[str]:
    """`host:port` of a registry with its images in the existing `folder` (or `data`); stopped at the end.

    Raises: Unavailable.
    """
    (port,) = ports.free(1)
    host = guard.host if guard else "127.0.0.1"
    file = folder / "registry.yml"
    more = guard.config(folder) if guard else {}
    file.write_text(yaml.safe_dump(_config(data or folder / "data", f"{host}:{port}", more)))
    log = os.open(folder / "registry.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    process = await asyncio.create_subprocess_exec("docker-registry", "serve", str(file), stdout=log, stderr=log)
    os.close(log)
    try:
        await _answers(host, port, process)
        yield f"{host}:{port}"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _answers(host: str, port: int, process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_START_LIMIT.total_seconds()):
            while not await _connects(host, port):
                if process.returncode is not None:
                    raise errors.Unavailable("docker-registry ended at its start.")
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise errors.Unavailable(f"docker-registry does not answer at port {port}.") from error


async def _connects(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def _config(data: Path, address: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        **more,
        "http": {"addr": address, **more.get("http", {})},
    }
