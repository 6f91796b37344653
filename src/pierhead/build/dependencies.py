"""The dependency layer: installed once in a container, kept in the registry, shared by all with the same lock file."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.build import base, layer, sources
from pierhead.build.base import Base, Log
from pierhead.build.layer import Config, Layer
from pierhead.build.recipe import Dependencies, Files
from pierhead.kit import clock, errors
from pierhead.wire.docker import containers, images
from pierhead.wire.docker.client import Engine
from pierhead.wire.oci.client import Registry

REPOSITORY = "cache/dependencies"
"""Where the layers are kept: one image a key, which no one runs."""
_LAST_LINES = 25
_LABEL = "pier.build"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one build container may use. 0 processors: all but half of one."""

    cpus: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Kitchen:
    """Where dependencies are built."""

    engine: Engine
    registry: Registry
    limits: Limits
    log: Log


async def ensure(kitchen: Kitchen, wanted: Dependencies, files: Files) -> Layer:
    """The layer, from the cache or built now; the registry has it in `REPOSITORY`. Raises: Failed, Unavailable."""
    builder = await base.ensure(wanted.builder, kitchen.registry, kitchen.log)
    key = wanted.key(files, builder.digest)
    if found := await base.find(kitchen.registry, REPOSITORY, key):
        await kitchen.log("dependencies", f"the same as before ({key[:10]})")
        return found.layers[0]
    await kitchen.log("dependencies", f"installed once for this lock file ({key[:10]})")
    made, data = await asyncio.to_thread(layer.pack, await _install(kitchen, wanted, files, builder))
    await _keep(kitchen.registry, key, made, data)
    return made


async def _install(kitchen: Kitchen, wanted: Dependencies, files: Files, builder: Base) -> bytes:
    """What the script left in the result's folder, as a tar."""
    async for _ in images.pull(kitchen.engine, builder.reference):
        pass
    container = await containers.create(kitchen.engine, _container(kitchen.limits, wanted, builder))
    try:
        await containers.put_archive(kitchen.engine, container, "/", sources.files())
        contents = {f"build/{name}": files.contents[name] for name in wanted.files}
        await containers.put_archive(kitchen.engine, container, "/", _tar(contents))
        await containers.start(kitchen.engine, container)
        lines = await _logged(kitchen, container)
        if code := await containers.wait(kitchen.engine, container):
            raise errors.Failed(
                f"The dependencies could not be installed (exit code {code}):\n" + "\n".join(lines[-_LAST_LINES:]),
                hint=f"`{wanted.script}` in a container of {builder.name}; the lock file is {wanted.files[-1]}.",
            )
        async with containers.archive(kitchen.engine, container, wanted.result) as pieces:
            tar = b"".join([piece async for piece in pieces])
    finally:
        async with asyncio.timeout(30):
            await containers.remove(kitchen.engine, container, force=True)
    parent = wanted.result.strip("/").rpartition("/")[0]
    return await asyncio.to_thread(layer.normalise, tar, lambda name: f"{parent}/{name}" if parent else name)


async def _logged(kitchen: Kitchen, container: str) -> list[str]:
    lines: list[str] = []
    async for frame in containers.logs(kitchen.engine, container, follow=True):
        for line in frame.data.decode(errors="replace").splitlines():
            lines.append(line)
            await kitchen.log("dependencies", line)
    return lines


async def _keep(registry: Registry, key: str, made: Layer, data: bytes) -> None:
    config = layer.config(Config(), [made], clock.moment(0))
    await registry.put_blob(REPOSITORY, data)
    await registry.put_blob(REPOSITORY, config)
    await registry.put_manifest(REPOSITORY, key, layer.manifest(config, [made]))


def _container(limits: Limits, wanted: Dependencies, builder: Base) -> dict[str, object]:
    cpus = limits.cpus or max(0.5, (os.cpu_count() or 1) - 0.5)
    return {
        "Image": builder.reference,
        "Entrypoint": ["/bin/sh", "-ec"],
        "Cmd": [wanted.script],
        "WorkingDir": "/build",
        "Env": [f"{name}={value}" for name, value in sources.environment(os.environ).items()],
        "Labels": {_LABEL: "dependencies"},
        "HostConfig": {
            "NanoCpus": round(cpus * 1e9),
            "Memory": limits.memory_bytes,
            "Init": True,
        },
    }


def _tar(contents: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return target.getvalue()
