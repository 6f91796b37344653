"""Images of the engine. Source: Docker Engine API, Image.

What takes long answers with its progress, line by line; a failure in the middle raises Failed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from pierhead.kit import errors
from pierhead.wire.docker.client import Engine

_CPU_PERIOD = 100_000
"""Microseconds: the kernel's own default."""


@dataclass(frozen=True, slots=True)
class Image:
    id: str
    """`sha256:…` of its configuration."""
    tags: Sequence[str]
    digests: Sequence[str]
    """`registry/name@sha256:…`, once it was pulled or pushed."""
    size_bytes: int
    stop_signal: str
    """Empty: SIGTERM."""
    exposed: frozenset[str]
    user: str
    entrypoint: Sequence[str]
    command: Sequence[str]
    raw: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str = ""
    password: str = field(default="", repr=False)
    registry: str = ""

    @property
    def header(self) -> dict[str, str]:
        """What the engine is told them with; nothing for nobody."""
        return {"X-Registry-Auth": _auth(self)} if self.username else {}


@dataclass(frozen=True, slots=True)
class Build:
    """How the classic builder makes an image from a tar."""

    tag: str
    dockerfile: str = "Dockerfile"
    target: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    pull: bool = False
    network: str = ""
    memory_bytes: int = 0
    cpus: float = 0
    """0: all of them."""


async def inspect(engine: Engine, image: str) -> Image:
    """Raises: NotFound."""
    return _read(await engine.get(f"/images/{image}/json"))


async def listing(engine: Engine, filters: Mapping[str, Sequence[str]] | None = None) -> list[dict[str, Any]]:
    """Every image that matches, as the API shows it in a listing."""
    query = {"filters": {key: list(values) for key, values in (filters or {}).items()}}
    found: list[dict[str, Any]] = await engine.get("/images/json", query)
    return found


async def pull(engine: Engine, image: str, credentials: Credentials | None = None) -> AsyncIterator[str]:
    """The engine has `image` (`registry/name@sha256:…` or `name:tag`) at the end; its progress.

    Raises: NotFound, Failed.
    """
    headers = {"X-Registry-Auth": _auth(credentials)}
    async with engine.stream("POST", "/images/create", {"fromImage": image}, headers=headers) as response:
        async for line in progress(response):
            yield line


async def push(engine: Engine, name: str, tag: str, credentials: Credentials | None = None) -> AsyncIterator[str]:
    """The registry has `name:tag` at the end; its progress. Raises: NotFound, Failed."""
    headers = {"X-Registry-Auth": _auth(credentials)}
    async with engine.stream("POST", f"/images/{name}/push", {"tag": tag}, headers=headers) as response:
        async for line in progress(response):
            yield line


async def build(
    engine: Engine, context: bytes | AsyncIterator[bytes], how: Build, credentials: Credentials | None = None
) -> AsyncIterator[str]:
    """The engine has the image at the end; what the builder wrote. The classic builder: no BuildKit is needed.

    Raises: Failed with the builder's last words.
    """
    known = {credentials.registry: _account(credentials)} if credentials else {}
    headers = {"Content-Type": "application/x-tar", "X-Registry-Config": _encoded(known)}
    async with engine.stream("POST", "/build", build_query(how), data=context, headers=headers) as response:
        async for line in progress(response):
            yield line


async def import_(engine: Engine, tar: bytes | AsyncIterator[bytes], repository: str, tag: str) -> None:
    """The engine has an image of one layer: what is in `tar`. Raises: Failed."""
    query = {"fromSrc": "-", "repo": repository, "tag": tag}
    async with engine.stream("POST", "/images/create", query, data=tar) as response:
        async for _ in progress(response):
            pass


async def tag(engine: Engine, image: str, repository: str, name: str) -> None:
    """`repository:name` is that image. Raises: NotFound."""
    await engine.post(f"/images/{image}/tag", query={"repo": repository, "tag": name})


async def remove(engine: Engine, image: str, *, force: bool = False) -> None:
    """The name is gone, and with its last name the image. Raises: NotFound, Conflict (a container uses it)."""
    await engine.delete(f"/images/{image}", {"force": force})


async def progress(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The texts of a stream of progress messages. Raises: Failed with the first error in it."""
    async for line in response.content:
        if line.strip():
            text = progress_line(line)
            if text:
                yield text


def progress_line(line: bytes) -> str:
    """What one message says to a person; empty when it says nothing. Raises: Failed."""
    value = json.loads(line)
    if "error" in value:
        raise errors.Failed(str((value.get("errorDetail") or {}).get("message") or value["error"]).strip())
    if "stream" in value:
        return str(value["stream"]).rstrip("\n")
    if value.get("progressDetail"):
        return ""
    status = str(value.get("status") or "")
    return f"{value['id']}: {status}" if value.get("id") and status else status


def build_query(how: Build) -> dict[str, Any]:
    query: dict[str, Any] = {
        "t": how.tag,
        "dockerfile": how.dockerfile,
        "buildargs": dict(how.args),
        "labels": dict(how.labels),
        "nocache": how.no_cache,
        "pull": how.pull,
        "rm": True,
        "forcerm": True,
    }
    optional: dict[str, Any] = {"target": how.target, "networkmode": how.network, "memory": how.memory_bytes}
    if how.cpus:
        optional |= {"cpuperiod": _CPU_PERIOD, "cpuquota": round(how.cpus * _CPU_PERIOD)}
    return {**query, **{key: value for key, value in optional.items() if value}}


def _auth(credentials: Credentials | None) -> str:
    return _encoded(_account(credentials) if credentials else {})


def _account(credentials: Credentials) -> dict[str, str]:
    return {
        "username": credentials.username,
        "password": credentials.password,
        "serveraddress": credentials.registry,
    }


def _encoded(value: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def _read(value: Mapping[str, Any]) -> Image:
    config = value.get("Config") or {}
    return Image(
        id=value["Id"],
        tags=tuple(value.get("RepoTags") or ()),
        digests=tuple(value.get("RepoDigests") or ()),
        size_bytes=value.get("Size") or 0,
        stop_signal=config.get("StopSignal") or "",
        exposed=frozenset(config.get("ExposedPorts") or ()),
        user=config.get("User") or "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        raw=value,
    )
