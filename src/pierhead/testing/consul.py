"""A real Consul for tests and measurements: found on PATH, or Debian's package."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import signal
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp

from pierhead.kit import errors
from pierhead.testing import debian, ports

SUITE = "bullseye"
"""The last Debian release that has the package."""

_START_LIMIT = timedelta(seconds=30)
_STOP_LIMIT = timedelta(seconds=10)
_CONNECTIONS = 8000
_PORTS = {"http": -1, "https": -1, "serf_wan": -1, "dns": -1, "grpc": -1}


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    pid: int


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may ask: whoever shows a token, over https, with a certificate of the authority's."""

    token: str
    """The root token, a UUID."""
    ca: Path
    cert: Path
    key: Path

    @property
    def config(self) -> dict[str, object]:
        """What the server is told."""
        return {
            "acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": self.token, "agent": self.token}},
            "ca_file": str(self.ca),
            "cert_file": str(self.cert),
            "key_file": str(self.key),
            "verify_incoming_https": True,
        }

    @property
    def context(self) -> ssl.SSLContext:
        """What a client shows and trusts."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.cert, self.key)
        return context


def program() -> Path:
    """The Consul binary. Blocks while it is fetched. Raises: Unavailable with the reason."""
    if found := shutil.which("consul"):
        return Path(found)
    hint = "Put `consul` 1.8.7 or newer on PATH, or set PIER_NO_REAL_CONSUL=1 to leave these tests out knowingly."
    return debian.unpacked(SUITE, ["consul"], hint=hint) / "usr" / "bin" / "consul"


@asynccontextmanager
async def serving(folder: Path, guard: Guard | None = None, *, port: int = 0) -> AsyncIterator[Running]:
    """One Consul server, its log on disk in `folder`, with a leader, at `port` where one is given. Raises: Unavailable.

    One that was served from that folder before comes back, at the same address.
    """
    numbers = await asyncio.to_thread(_ports_of, folder, "https" if guard else "http", port)
    config = {**_config(), **(guard.config if guard else {}), "ports": numbers}
    command = await asyncio.to_thread(_prepare, folder, config)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, preexec_fn=_raise_file_limit)
    try:
        url = f"{'https' if guard else 'http'}://127.0.0.1:{numbers['https' if guard else 'http']}"
        if not await _becomes_ready(process, url, guard):
            told = await asyncio.to_thread((folder / "log").read_text)
            raise errors.Unavailable(f"The real Consul did not start:\n{told[-2000:]}")
        yield Running(url, process.pid)
    finally:
        await _stop(process)


def _ports_of(folder: Path, scheme: str, port: int) -> dict[str, int]:
    """The ports that it has there, or gets now."""
    file = folder / "consul.json"
    if file.exists():
        before: dict[str, int] = json.loads(file.read_text())["ports"]
        return before
    http, server, serf = ports.free(3)
    return {**_PORTS, "server": server, "serf_lan": serf, scheme: port or http}


def _prepare(folder: Path, config: Mapping[str, object]) -> list[str]:
    """The command; its configuration is written."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "consul.json"
    file.write_text(json.dumps(config))
    return [
        *(str(program()), "agent", "-server", "-bootstrap-expect=1", "-bind=127.0.0.1", "-node=probe"),
        *(f"-data-dir={folder / 'data'}", f"-config-file={file}"),
    ]


def _config() -> dict[str, object]:
    return {
        "performance": {"raft_multiplier": 1},
        "limits": {"http_max_conns_per_client": _CONNECTIONS},
        "disable_update_check": True,
        "log_level": "WARN",
    }


async def _becomes_ready(process: asyncio.subprocess.Process, url: str, guard: Guard | None) -> bool:
    """True once there is a leader and the node is in the catalog; False when it ended or took too long."""
    deadline = time.monotonic() + _START_LIMIT.total_seconds()
    connector = aiohttp.TCPConnector(ssl=guard.context if guard else True)
    headers = {"X-Consul-Token": guard.token} if guard else {}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        while time.monotonic() < deadline and process.returncode is None:
            if await _is_ready(session, url):
                return True
            await asyncio.sleep(0.1)
    return False


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/v1/health/state/passing") as response:
            return response.status == 200 and bool(await response.json())
    except aiohttp.ClientError:
        return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_LIMIT.total_seconds()):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _raise_file_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * _CONNECTIONS), hard))


if __name__ == "__main__":
    debian.prefetch(program)
