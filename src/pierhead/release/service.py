"""The engine service that a release runs as. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pierhead.model import dot_pier, dubbo
from pierhead.model.app import Network, Port, Protocol, Spec, service_name
from pierhead.model.instance import Label
from pierhead.model.release import Release, engine_name, in_cluster
from pierhead.model.run import Run
from pierhead.wire.docker.services import NODE, Mount, SecretFile, ServiceSpec, Share
from pierhead.wire.docker.services import Port as EnginePort

_HARMLESS = "SIGCONT"
"""What the engine sends first to whatever it stops. It does nothing, and tells the agent to drain."""
_ALONE = timedelta(seconds=20)
"""How long the container of a run is kept in which nothing runs."""
_LOG_OPTIONS = {"max-size": "20m", "max-file": "3"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where engine services are made."""

    cluster: str
    mount: Path
    """The folder of every node that instances see as `/.pier`."""
    volumes_on: str = ""
    """The engine's id of the node on which instances have their volumes; empty: there are no instances. What runs once
    must find there what they wrote."""


@dataclass(frozen=True, slots=True)
class One:
    """The one instance of an engine service of its own, and the host port that each of its ports has."""

    name: str
    numbers: Mapping[str, int]
    """Name of a port → host port, which is the container's port too."""


def spec(
    place: Place, release: Release, replicas: int, secrets: Sequence[SecretFile], one: One | None = None
) -> ServiceSpec:
    """Bridge network, each port published on a host port: the one that it was given, or one that the node chooses."""
    cluster, wanted = place.cluster, release.spec
    if one:
        known = one.numbers
        ports = [replace(port, container_port=known.get(port.name, port.container_port)) for port in wanted.ports]
        wanted = replace(wanted, ports=tuple(ports))
    release, env = replace(release, spec=wanted), _env(release, one)
    command = _command(release, env)
    mounts = [_mount(cluster, release, volume.source, volume.path, volume.read_only) for volume in wanted.volumes]
    return ServiceSpec(
        name=one.name if one else engine_name(cluster, release.app, release.environment, release.number),
        image=release.image,
        replicas=replicas,
        labels=_labels(cluster, release),
        command=[dot_pier.INIT] if command else (),
        arguments=command or wanted.command,
        env=env,
        mounts=[*mounts, Mount("bind", str(place.mount), dot_pier.TARGET, read_only=True)] if command else mounts,
        ports=_published(wanted, one),
        secrets=secrets,
        constraints=[f"node.labels.{key} == {value}" for key, value in wanted.labels.items()],
        networks=["host"] if wanted.network is Network.HOST else (),
        stop_signal=_HARMLESS,
        stop_grace=wanted.deploy.drain + wanted.deploy.stop,
        limits=Share(wanted.resources.cpus, wanted.resources.memory_bytes),
        reservations=Share(wanted.resources.reserved_cpus, wanted.resources.reserved_memory_bytes),
        log_options=_LOG_OPTIONS,
    )


def job(
    place: Place, release: Release, secrets: Sequence[SecretFile], name: str, command: Sequence[str]
) -> ServiceSpec:
    """One container of the release that runs `command` once, with all that its instances have but their ports."""
    wanted = replace(release.spec, command=tuple(command), ports=(), ports_required=False)
    usual = spec(place, replace(release, spec=wanted), 1, secrets)
    labels = {key: usual.labels[key] for key in (Label.CLUSTER, Label.APP, Label.ENVIRONMENT, Label.RELEASE)}
    is_bound = place.volumes_on and any(mount.kind == "volume" for mount in usual.mounts)
    return replace(
        usual,
        constraints=[*usual.constraints, *([f"{NODE} == {place.volumes_on}"] if is_bound else ())],
        name=f"{usual.name}-{name.replace('_', '-')}",
        labels={**labels, Label.JOB: name},
        restart="none",
        stop_signal="",
        stop_grace=release.spec.deploy.stop,
    )


def run(place: Place, release: Release, secrets: Sequence[SecretFile], wanted: Run) -> ServiceSpec:
    """One container of the release for a command that somebody runs once; it only waits where that is watched."""
    usual = job(place, release, secrets, "run", wanted.command)
    name = in_cluster(place.cluster, f"run-{release.app}-{wanted.id}")
    named = replace(usual, name=name, labels={**usual.labels, Label.RUN: str(wanted.id)})
    return replace(named, command=dot_pier.waiting(_ALONE), arguments=()) if wanted.is_watched else named


def _published(wanted: Spec, one: One | None) -> Sequence[EnginePort]:
    if wanted.network is not Network.BRIDGE:
        return ()
    numbers = one.numbers if one else {}
    return [EnginePort(port.container_port, numbers.get(port.name, 0)) for port in wanted.ports]


def secret_name(cluster: str, release: Release, name: str) -> str:
    """The engine's own name for one version of a secret."""
    return f"{cluster}.{release.app}.{release.environment}.{name}.{release.secrets[name]}"


def _command(release: Release, env: Mapping[str, str]) -> Sequence[str]:
    """What `/.pier/init` is given so that it becomes the image's entrypoint with its command, or the spec's.

    Empty where there is nothing to become: what the image says is not known, or it says nothing.
    """
    image = release.image_config
    if image is None:
        return ()
    command = (*image.entrypoint, *(release.spec.command or image.command))
    return dot_pier.arguments(command, {**image.env, **env}) if command else ()


def _env(release: Release, one: One | None) -> dict[str, str]:
    """What the app finds in its environment; config wins over `pier.yaml`, and that over what Pierhead adds."""
    own = {
        "PIER_APP": release.app,
        "PIER_ENVIRONMENT": release.environment,
        "PIER_RELEASE": release.name,
        "GIT_REV": release.commit,
    }
    if release.spec.ports:
        own["PORT"] = str(release.spec.ports[0].container_port)
    if release.spec.ports_required:
        own[dot_pier.REQUIRED] = "1"
    own |= dot_pier.secret_variables(release.spec.secret_env)
    return {**own, **(_own_ports(release.spec, one.numbers) if one else {}), **release.spec.env, **release.variables}


def _own_ports(wanted: Spec, numbers: Mapping[str, int]) -> dict[str, str]:
    """The ports that are known before the instance is there: it listens where it is reached."""
    found: dict[str, str] = {}
    for port in wanted.own_ports:
        number = str(numbers[port.name])
        found |= {f"PIER_PORT_{dubbo.variable(port.name)}": number, f"PIER_HOST_PORT_{port.container_port}": number}
    if wanted.ports[0].name in numbers:
        found["PORT"] = str(numbers[wanted.ports[0].name])
    speaking = [port.name for port in wanted.own_ports if port.protocol is Protocol.DUBBO]
    return found | dubbo.variables({name: dubbo.Reached(numbers[name], numbers[name]) for name in speaking})


def _labels(cluster: str, release: Release) -> dict[str, str]:
    return {
        Label.CLUSTER: cluster,
        Label.APP: release.app,
        Label.ENVIRONMENT: release.environment,
        Label.RELEASE: release.name,
        Label.PORTS: json.dumps([_port(release, port, number) for number, port in enumerate(release.spec.ports)]),
        Label.HEALTH: json.dumps(_health(release.spec)),
        Label.STOP: json.dumps(_stop(release.spec)),
    }


def _port(release: Release, port: Port, number: int) -> dict[str, str | int]:
    return {
        "name": port.name,
        "port": port.container_port,
        "protocol": port.protocol.value,
        "service": service_name(release.app, release.environment, port, is_first=number == 0),
    }


def _health(wanted: Spec) -> dict[str, str | int | float]:
    health = wanted.health
    return {
        "probe": health.probe.value,
        "path": health.path,
        "port": health.port or (wanted.ports[0].name if wanted.ports else ""),
        "interval_seconds": health.interval.total_seconds(),
        "timeout_seconds": health.timeout.total_seconds(),
        "rise": health.rise,
        "fall": health.fall,
    }


def _stop(wanted: Spec) -> dict[str, float]:
    """Without a signal: the agent sends the image's own."""
    return {
        "drain_seconds": wanted.deploy.drain.total_seconds(),
        "stop_seconds": wanted.deploy.stop.total_seconds(),
    }


def _mount(cluster: str, release: Release, source: str, target: str, read_only: bool) -> Mount:
    if source.startswith("/"):
        return Mount("bind", source, target, read_only)
    return Mount("volume", f"{cluster}.{release.app}.{release.environment}.{source}", target, read_only)
