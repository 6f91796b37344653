"""Where images are made: an engine, a registry, limits, a log; and scripts run in containers of a base image.

A script sees what this machine's package managers are told, and only one folder of its container is kept: nothing of
the machine gets into an image.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pierhead.build import sources
from pierhead.build.compression import GZIP
from pierhead.kit import errors
from pierhead.wire.docker import containers, images, networks
from pierhead.wire.docker.client import Engine
from pierhead.wire.oci.client import Registry

Log = Callable[[str, str], Awaitable[None]]
"""`await log(step, text)`: a line of the build's log."""

LABEL, OWNER = "pier.build", "pier.build.owner"
"""On every container that builds: what it is for, and the server that builds."""
_LAST_LINES = 25
_PIECE_BYTES = 1 << 20
_PROCESSES = 4096
_CLEAN_UP_SECONDS = 30
_REPEATABLE = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/root", "CI": "1", "NO_COLOR": "1"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one build container may use. 0 processors: all but half of one."""

    cpus: float
    memory_bytes: int
    source_bytes: int = 1 << 40
    """Of a commit's files."""

    @property
    def processors(self) -> float:
        return self.cpus or max(0.5, (os.cpu_count() or 1) - 0.5)


@dataclass(frozen=True, slots=True)
class Kitchen:
    engine: Engine
    registry: Registry
    limits: Limits
    log: Log
    folder: Path
    """For files on their way; gone when the build has ended."""
    owner: str = ""
    compression: str = GZIP
    """Of the layers that are made here; bases stay as they are."""

    @property
    def credentials(self) -> images.Credentials | None:
        """What the engine shows the registry."""
        access = self.registry.access
        account = access.account
        return images.Credentials(account.username, account.password, access.host) if account else None

    def named(self, key: str) -> str:
        """What a layer that was made from what `key` says is kept under."""
        return key if self.compression == GZIP else f"{key}-{self.compression}"

    def known_to(self, image: str) -> images.Credentials | None:
        """The same for an image of the registry; nobody else is told."""
        return self.credentials if image.startswith(f"{self.registry.address}/") else None


@dataclass(frozen=True, slots=True)
class Script:
    step: str
    """What the log calls it."""
    text: str
    """Run by `/bin/sh -e`."""
    image: str
    folder: str
    """Where it runs."""
    result: str
    """The folder that is kept."""
    inputs: Sequence[Path | AsyncIterator[bytes] | bytes] = ()
    """Tars, compressed or not, unpacked at `/` before."""
    env: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    """What to look at when it fails."""


class ScriptFailed(errors.Failed):
    """A script in a build container failed."""

    def __init__(self, message: str, lines: Sequence[str], *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.lines = lines
        """All that it wrote."""


async def run(kitchen: Kitchen, script: Script) -> Path:
    """A file with what the script left in its result folder, as the engine packs it. The container is gone.

    Raises: ScriptFailed, Unavailable, Failed (the image cannot be pulled).
    """
    await pulled(kitchen, script.image)
    container = await containers.create(kitchen.engine, _container(kitchen, script))
    try:
        for tar in (sources.files(os.environ), *script.inputs):
            data = pieces(tar) if isinstance(tar, Path) else tar
            await containers.put_archive(kitchen.engine, container, "/", data)
        await containers.start(kitchen.engine, container)
        lines = await logged(kitchen, script.step, container)
        if code := await containers.wait(kitchen.engine, container):
            raise await _failure(kitchen, script, container, code, lines)
        return await _result(kitchen, script, container)
    finally:
        async with asyncio.timeout(_CLEAN_UP_SECONDS):
            await containers.remove(kitchen.engine, container, force=True)


async def clear(engine: Engine, owner: str) -> None:
    """No container builds for that owner, and no network of its tests is left. Raises: Unavailable."""
    for one in await containers.listing(engine, {"label": [f"{OWNER}={owner}"]}, all_=True):
        with contextlib.suppress(errors.NotFound):
            await containers.remove(engine, one.id, force=True)
    for network in await networks.listing(engine, {"label": [f"{OWNER}={owner}"]}):
        with contextlib.suppress(errors.NotFound):
            await networks.remove(engine, network)


async def pulled(kitchen: Kitchen, image: str) -> None:
    """The engine has the image. Raises: NotFound, Failed, Unavailable."""
    try:
        await images.inspect(kitchen.engine, image)
    except errors.NotFound:
        async for _ in images.pull(kitchen.engine, image, kitchen.known_to(image)):
            pass


async def logged(kitchen: Kitchen, step: str, container: str) -> list[str]:
    """All that it wrote until it ended; lines that come in pieces are put together.

    Read twice: an engine may end the stream of a container that has exited before all of it was sent.
    """
    lines = [line async for line in _lines(kitchen, step, container, follow=True)]
    await containers.wait(kitchen.engine, container)
    lines += [line async for line in _lines(kitchen, step, container, known=len(lines))]
    return lines


async def _lines(
    kitchen: Kitchen, step: str, container: str, *, follow: bool = False, known: int = 0
) -> AsyncIterator[str]:
    """Its lines after the first `known` ones, each put into the log as it comes."""
    rest = {True: b"", False: b""}
    count = 0
    async for frame in containers.logs(kitchen.engine, container, follow=follow):
        *whole, rest[frame.is_error] = (rest[frame.is_error] + frame.data).split(b"\n")
        for raw in whole:
            count += 1
            if count > known:
                yield await _noted(kitchen, step, raw)
    for left in () if follow else filter(None, rest.values()):
        yield await _noted(kitchen, step, left)


async def _noted(kitchen: Kitchen, step: str, raw: bytes) -> str:
    """The line as a person sees it on a terminal, now in the log."""
    text = raw.decode(errors="replace")
    line = text.rpartition("\r")[2] or text.rstrip()
    await kitchen.log(step, line)
    return line


async def _failure(kitchen: Kitchen, script: Script, container: str, code: int, lines: list[str]) -> ScriptFailed:
    found = await containers.inspect(kitchen.engine, container)
    last = "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
    if found.raw["State"].get("OOMKilled"):
        reason = f"it needed more memory than {kitchen.limits.memory_bytes >> 20} MiB"
        return ScriptFailed(
            f"The step {script.step} failed: {reason}.\n{last}", lines, hint="The setting build.memory_bytes."
        )
    where = f"It ran in a container of {script.image.partition('@')[0]}."
    message = f"The step {script.step} failed with exit code {code}:\n{last}"
    return ScriptFailed(message, lines, hint=f"{script.hint} {where}".strip())


async def _result(kitchen: Kitchen, script: Script, container: str) -> Path:
    target = kitchen.folder / f"{uuid.uuid4().hex}.tar"
    try:
        async with containers.archive(kitchen.engine, container, script.result) as pieces:
            with target.open("wb") as file:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
    except errors.NotFound as error:
        raise errors.Failed(f"The step {script.step} did not make the folder {script.result}.") from error
    return target


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """The file, piece by piece."""
    with contextlib.closing(path.open("rb")) as file:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece


def _container(kitchen: Kitchen, script: Script) -> dict[str, object]:
    env = {**_REPEATABLE, **sources.environment(os.environ), **script.env}
    return {
        "Image": script.image,
        "User": "0:0",
        "Entrypoint": ["/bin/sh", "-ec"],
        "Cmd": [script.text],
        "WorkingDir": script.folder,
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Labels": {LABEL: script.step, OWNER: kitchen.owner},
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            **limits(kitchen.limits),
            "SecurityOpt": ["no-new-privileges"],
        },
    }


def limits(of: Limits) -> dict[str, object]:
    """What the engine is told of them."""
    return {
        "NanoCpus": round(of.processors * 1e9),
        "Memory": of.memory_bytes,
        "PidsLimit": _PROCESSES,
        "Init": True,
    }
