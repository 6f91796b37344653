"""Containers. Source: Docker Engine API, Container.

Commands in a container are in `exec`, the stream format of their output in `frames`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pierhead.kit import errors
from pierhead.wire.docker import frames
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.frames import Frame
from pierhead.wire.docker.moments import moment


@dataclass(frozen=True, slots=True)
class Summary:
    """A container as a listing shows it."""

    id: str
    name: str
    image: str
    state: str
    """`created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`."""
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Binding:
    """A port of the host that leads to a port of the container."""

    address: str
    """Of the host; `0.0.0.0` and `::` are all of them."""
    port: int


@dataclass(frozen=True, slots=True)
class Container:
    """A container as inspection shows it."""

    id: str
    name: str
    image: str
    """What it was created from, as its creator wrote it."""
    image_id: str
    labels: Mapping[str, str]
    env: Sequence[str]
    exposed: frozenset[str]
    """`8000/tcp`: the ports that image or creator name."""
    ports: Mapping[str, Sequence[Binding]]
    """Container port → where it is published now; empty while it does not run."""
    network: str
    """`default`, `bridge`, `host`, `none`, `container:<id>` or a network's name."""
    running: bool
    """Also while it is paused; not between two tries of a restart policy."""
    paused: bool
    pid: int
    started_at: datetime
    health: str
    """`starting`, `healthy`, `unhealthy` as its HEALTHCHECK says; empty without one."""
    health_output: str
    exit_code: int
    stop_signal: str
    """Empty: SIGTERM."""
    stop_timeout: timedelta
    raw: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)


async def listing(
    engine: Engine, filters: Mapping[str, Sequence[str]] | None = None, *, all_: bool = False
) -> list[Summary]:
    """The containers that run and match; with `all_` also those that do not run."""
    query = {"all": all_, "filters": {key: list(values) for key, values in (filters or {}).items()}}
    return [_summary(value) for value in await engine.get("/containers/json", query)]


async def inspect(engine: Engine, container: str) -> Container:
    """Raises: NotFound."""
    return read(await engine.get(f"/containers/{container}/json"))


async def create(engine: Engine, body: Mapping[str, Any], *, name: str = "") -> str:
    """The container exists and does not run; its id. `body` is the API's ContainerConfig with HostConfig.

    Raises: NotFound (no such image), Conflict (the name is taken), Invalid.
    """
    value = await engine.post("/containers/create", dict(body), {"name": name} if name else {})
    return str(value["Id"])


async def start(engine: Engine, container: str) -> None:
    """It runs. Idempotent. Raises: NotFound, Invalid, Unavailable (it could not be started)."""
    await engine.post(f"/containers/{container}/start")


async def wait(engine: Engine, container: str) -> int:
    """It has ended; its exit code. Raises: NotFound."""
    async with engine.stream("POST", f"/containers/{container}/wait") as response:
        return int((await response.json())["StatusCode"])


async def kill(engine: Engine, container: str, signal: str = "SIGKILL") -> None:
    """Its first process was sent `signal`. Raises: NotFound, Conflict (it does not run)."""
    await engine.post(f"/containers/{container}/kill", query={"signal": signal})


async def stop(engine: Engine, container: str, *, limit: timedelta | None = None) -> None:
    """It does not run: sent its stop signal, and killed after `limit` (its own limit, when None). Raises: NotFound."""
    query = {} if limit is None else {"t": round(limit.total_seconds())}
    async with engine.stream("POST", f"/containers/{container}/stop", query):
        pass


async def pause(engine: Engine, container: str) -> None:
    """Its processes are frozen. Raises: NotFound, Conflict."""
    await engine.post(f"/containers/{container}/pause")


async def unpause(engine: Engine, container: str) -> None:
    """Its processes go on. Raises: NotFound, Conflict."""
    await engine.post(f"/containers/{container}/unpause")


async def remove(engine: Engine, container: str, *, force: bool = False) -> None:
    """It is gone with its anonymous volumes; with `force` also when it runs. Raises: NotFound, Conflict."""
    await engine.delete(f"/containers/{container}", {"force": force, "v": True})


async def logs(
    engine: Engine, container: str, *, follow: bool = False, tail: str = "all", timestamps: bool = False
) -> AsyncIterator[Frame]:
    """What it wrote, and with `follow` what it writes until it ends. Not for a container with a terminal.

    Raises: NotFound.
    """
    query = {"stdout": True, "stderr": True, "follow": follow, "tail": tail, "timestamps": timestamps}
    async with engine.stream("GET", f"/containers/{container}/logs", query) as response:
        async for frame in frames.frames(response.content):
            yield frame


async def attach(engine: Engine, container: str) -> AsyncIterator[Frame]:
    """What it writes from now on until it ends. Not for a container with a terminal. Raises: NotFound."""
    query = {"stdout": True, "stderr": True, "stream": True}
    async with engine.stream("POST", f"/containers/{container}/attach", query) as response:
        async for frame in frames.frames(response.content):
            yield frame


@asynccontextmanager
async def archive(engine: Engine, container: str, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """The file or folder `path` of the container as a tar, piece by piece. Raises: NotFound."""
    async with engine.stream("GET", f"/containers/{container}/archive", {"path": path}) as response:
        yield response.content.iter_any()


async def has_path(engine: Engine, container: str, path: str) -> bool:
    """There is a file or folder `path` in it. Raises: NotFound (no such container)."""
    try:
        async with engine.stream("HEAD", f"/containers/{container}/archive", {"path": path}):
            return True
    except errors.NotFound:
        await inspect(engine, container)
        return False


async def put_archive(engine: Engine, container: str, path: str, tar: bytes | AsyncIterator[bytes]) -> None:
    """The folder `path` of the container holds what is in `tar`. Raises: NotFound, Invalid."""
    headers = {"Content-Type": "application/x-tar"}
    async with engine.stream("PUT", f"/containers/{container}/archive", {"path": path}, data=tar, headers=headers):
        pass


def read(value: Mapping[str, Any]) -> Container:
    """From the answer of an inspection."""
    config, state, host = value["Config"], value["State"], value["HostConfig"]
    health = state.get("Health") or {}
    return Container(
        id=value["Id"],
        name=value["Name"].removeprefix("/"),
        image=config.get("Image") or "",
        image_id=value.get("Image") or "",
        labels=config.get("Labels") or {},
        env=tuple(config.get("Env") or ()),
        exposed=frozenset(config.get("ExposedPorts") or ()),
        ports=_ports(value["NetworkSettings"].get("Ports") or {}),
        network=host.get("NetworkMode") or "",
        running=bool(state["Running"]) and not state.get("Restarting"),
        paused=bool(state.get("Paused")),
        pid=state.get("Pid") or 0,
        started_at=moment(state["StartedAt"]),
        health=health.get("Status", "").removeprefix("none"),
        health_output=_last_output(health.get("Log") or ()),
        exit_code=state.get("ExitCode") or 0,
        stop_signal=config.get("StopSignal") or "",
        stop_timeout=timedelta(seconds=config.get("StopTimeout") or 10),
        raw=value,
    )


def _ports(ports: Mapping[str, Any]) -> dict[str, tuple[Binding, ...]]:
    return {
        port: tuple(Binding(one.get("HostIp") or "", int(one["HostPort"])) for one in bindings or ())
        for port, bindings in ports.items()
    }


def _last_output(log: Sequence[Mapping[str, Any]]) -> str:
    return str(log[-1].get("Output") or "").strip() if log else ""


def _summary(value: Mapping[str, Any]) -> Summary:
    names = [name for name in value.get("Names") or () if name.count("/") == 1]
    return Summary(
        id=value["Id"],
        name=names[0].removeprefix("/") if names else "",
        image=value["Image"],
        state=value["State"],
        labels=value.get("Labels") or {},
    )
