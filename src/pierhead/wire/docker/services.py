"""Swarm services: so many containers of one image, kept running. Source: Docker Engine API, Service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.images import Credentials


@dataclass(frozen=True, slots=True)
class Service:
    id: str
    name: str
    version: int
    """What an update must name, so that it changes the service that its sender has seen."""
    labels: Mapping[str, str]
    replicas: int
    published: tuple[int, ...] = ()
    """The host ports that it names itself."""
    raw: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mount:
    kind: str
    """`volume`, `bind` or `tmpfs`."""
    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """Published on the node that the container is on."""

    target: int
    published: int = 0
    """0: the node chooses one."""
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret as the file `/run/secrets/<file>`."""

    id: str
    name: str
    file: str


@dataclass(frozen=True, slots=True)
class Share:
    """Of a node."""

    cpus: float | None = None
    memory_bytes: int | None = None


NOTHING = Share()
NODE = "node.id"
"""What a constraint calls the node itself: `node.id == x1y2`."""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service to create. The same labels go on the service and on its containers."""

    name: str
    image: str
    replicas: int
    labels: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    """Further labels, of the service alone."""
    command: Sequence[str] = ()
    """Replaces the image's entrypoint; empty: the image's own."""
    arguments: Sequence[str] = ()
    """Replaces the image's command; empty: the image's own."""
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    ports: Sequence[Port] = ()
    secrets: Sequence[SecretFile] = ()
    constraints: Sequence[str] = ()
    """`node.labels.disk == ssd`"""
    networks: Sequence[str] = ()
    stop_signal: str = ""
    stop_grace: timedelta = timedelta(seconds=10)
    restart: str = "any"
    """When a container that ended is started again: `any`, `on-failure`, `none`."""
    restart_delay: timedelta = timedelta(seconds=1)
    limits: Share = NOTHING
    """What a container may use at most."""
    reservations: Share = NOTHING
    """What its node must have free, and keeps for it."""
    log_options: Mapping[str, str] = field(default_factory=dict)
    """Of the `json-file` driver."""


async def listing(engine: Engine, labels: Mapping[str, str]) -> list[Service]:
    """Every service that has all of the labels."""
    return [_read(value) for value in await engine.get("/services", {"filters": label_filter(labels)})]


async def inspect(engine: Engine, name: str) -> Service:
    """The service of that name or id. Raises: NotFound."""
    return _read(await engine.get(f"/services/{name}"))


async def create(engine: Engine, spec: ServiceSpec, credentials: Credentials | None = None) -> str:
    """The service exists; its id. Every node pulls its image with the credentials: the swarm keeps them, encrypted.

    Raises: Conflict (there is one of that name).
    """
    value = await engine.post("/services/create", document(spec), headers=credentials.header if credentials else None)
    return str(value["ID"])


async def tell(engine: Engine, service: Service, labels: Mapping[str, str], credentials: Credentials) -> None:
    """The service has these labels too, and its nodes pull with the credentials from now on. What runs is left alone.

    Raises: Conflict when it was changed since it was read, NotFound.
    """
    spec = {**service.raw["Spec"], "Labels": {**service.labels, **labels}}
    path = f"/services/{service.id}/update"
    await engine.post(path, spec, {"version": str(service.version)}, credentials.header)


async def scale(engine: Engine, service: Service, replicas: int) -> None:
    """The service asks for so many containers; its credentials stay. Raises: Conflict when it was changed since it was
    read, NotFound."""
    spec = {**service.raw["Spec"], "Mode": {"Replicated": {"Replicas": replicas}}}
    await engine.post(f"/services/{service.id}/update", spec, {"version": str(service.version)})


async def remove(engine: Engine, name: str) -> None:
    """The service is gone. Raises: NotFound.

    Ask for no replicas first, and remove it only when no task of it `is_being_forgotten`: Docker 20.10 crashes as a
    whole when it forgets an ended task at the moment in which its service is removed (swarmkit,
    `SetServiceTasksRemove` reads a task that is not there).
    """
    await engine.delete(f"/services/{name}")


def label_filter(labels: Mapping[str, str]) -> dict[str, list[str]]:
    return {"label": [f"{key}={value}" for key, value in labels.items()]}


def document(spec: ServiceSpec) -> dict[str, Any]:
    """The ServiceSpec of the API."""
    return {
        "Name": spec.name,
        "Labels": {**spec.labels, **spec.marks},
        "Mode": {"Replicated": {"Replicas": spec.replicas}},
        "EndpointSpec": {"Ports": [_port(port) for port in spec.ports]},
        "TaskTemplate": {
            "ContainerSpec": _container(spec),
            "Resources": {"Limits": _share(spec.limits), "Reservations": _share(spec.reservations)},
            "RestartPolicy": {"Condition": spec.restart, "Delay": _nanoseconds(spec.restart_delay)},
            "Placement": {"Constraints": list(spec.constraints)},
            "Networks": [{"Target": network} for network in spec.networks],
            "LogDriver": {"Name": "json-file", "Options": dict(spec.log_options)},
        },
    }


def _container(spec: ServiceSpec) -> dict[str, Any]:
    value: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels),
        "Env": [f"{key}={text}" for key, text in spec.env.items()],
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "Secrets": [_secret(secret) for secret in spec.secrets],
        "StopGracePeriod": _nanoseconds(spec.stop_grace),
        "Init": True,
    }
    if spec.command:
        value["Command"] = list(spec.command)
    if spec.arguments:
        value["Args"] = list(spec.arguments)
    if spec.stop_signal:
        value["StopSignal"] = spec.stop_signal
    return value


def _share(share: Share) -> dict[str, int]:
    found = {}
    if share.cpus:
        found["NanoCPUs"] = round(share.cpus * 1e9)
    if share.memory_bytes:
        found["MemoryBytes"] = share.memory_bytes
    return found


def share(value: Mapping[str, Any]) -> Share:
    """What the API says of resources."""
    cpus = value.get("NanoCPUs") or 0
    return Share(cpus / 1e9 if cpus else None, value.get("MemoryBytes") or None)


def _port(port: Port) -> dict[str, Any]:
    value = {"Protocol": port.protocol, "TargetPort": port.target, "PublishMode": "host"}
    return {**value, "PublishedPort": port.published} if port.published else value


def _mount(mount: Mount) -> dict[str, Any]:
    return {"Type": mount.kind, "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}


def _secret(secret: SecretFile) -> dict[str, Any]:
    file = {"Name": secret.file, "UID": "0", "GID": "0", "Mode": 0o444}
    return {"SecretID": secret.id, "SecretName": secret.name, "File": file}


def _nanoseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1e9)


def _read(value: Mapping[str, Any]) -> Service:
    spec = value["Spec"]
    return Service(
        id=value["ID"],
        name=spec["Name"],
        version=value["Version"]["Index"],
        labels=spec.get("Labels") or {},
        replicas=spec["Mode"].get("Replicated", {}).get("Replicas", 0),
        published=tuple(
            port["PublishedPort"]
            for port in (spec.get("EndpointSpec") or {}).get("Ports") or ()
            if port.get("PublishedPort")
        ),
        raw=value,
    )
