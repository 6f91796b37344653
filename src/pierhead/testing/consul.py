"""A real Consul for tests and measurements: found on PATH, or Debian's package fetched as this machine gets its own.

Nothing is installed: the package is unpacked into a cache folder of the user. No address of any archive is known here;
it is the one that the machine's own apt uses.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp

from pierhead.kit import errors
from pierhead.testing import ports

SUITE = "bullseye"
"""The last Debian release that has the package."""

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FORMAT = "$(REPO_URI)|$(ORIGIN)"
_FETCH_LIMIT = timedelta(minutes=3)
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
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pierhead" / "consul"
    binary = cache / "root" / "usr" / "bin" / "consul"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        if not binary.exists():
            sys.stderr.write(f"fetches Debian's package of Consul, once, into {cache}\n")
            _fetch(cache)
    return binary


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


def _fetch(cache: Path) -> None:
    """The package is unpacked in `root` below `cache`."""
    reasons = []
    for archive in _archives():
        try:
            _unpack(_download(cache, archive), cache / "root")
        except (subprocess.SubprocessError, OSError, IndexError) as error:
            reasons.append(f"{SUITE}: {_reason(error)}")
        else:
            return
    raise errors.Unavailable(
        "There is no real Consul to test against: " + ("; ".join(reasons) or "apt knows no Debian archive"),
        hint="Put `consul` 1.8.7 or newer on PATH, or set PIER_NO_REAL_CONSUL=1 to leave these tests out knowingly.",
    )


def _archives() -> list[str]:
    """The Debian archives that this machine's apt reads."""
    command = ["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages", "Component: main"]
    try:
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (subprocess.SubprocessError, OSError) as error:
        raise errors.Unavailable(
            f"There is no real Consul to test against: apt-get does not answer: {_reason(error)}",
            hint="Put `consul` 1.8.7 or newer on PATH, or set PIER_NO_REAL_CONSUL=1.",
        ) from error
    pairs = (line.split("|") for line in text.splitlines())
    return list(dict.fromkeys(uri for uri, origin in pairs if origin in ("Debian", "") and "security" not in uri))


def _download(cache: Path, archive: str) -> Path:
    """The package file, verified by apt against Debian's keys."""
    for folder in ("state/lists/partial", "archives/archives/partial"):
        (cache / folder).mkdir(parents=True, exist_ok=True)
    (cache / "state" / "status").touch()
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (cache / "sources.list").write_text(f"deb {signed}{archive} {SUITE} main\n")
    places = {
        "Dir::State": cache / "state",
        "Dir::State::status": cache / "state" / "status",
        "Dir::Cache": cache / "archives",
        "Dir::Etc::sourcelist": cache / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Sandbox::User": "root",
    }
    given = [part for name, value in places.items() for part in ("-o", f"{name}={value}")]
    limit = _FETCH_LIMIT.total_seconds()
    for verb in (["update"], ["download", "consul"]):
        subprocess.run(
            ["apt-get", "-q", *given, *verb], cwd=cache, check=True, capture_output=True, text=True, timeout=limit
        )
    return sorted(cache.glob("consul_*.deb"))[-1]


def _unpack(package: Path, root: Path) -> None:
    """`root` holds the package's files, all or none of them."""
    partial = root.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", str(package), str(partial)], check=True, capture_output=True, text=True)
    partial.rename(root)


def _reason(error: Exception) -> str:
    told = getattr(error, "stderr", "") or str(error)
    return told.strip().splitlines()[-1] if told.strip() else type(error).__name__


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Nobody else fetches at the same time."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _raise_file_limit() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * _CONNECTIONS), hard))


def main() -> None:
    """The program is there before any test asks for it."""
    try:
        program()
    except errors.Unavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
