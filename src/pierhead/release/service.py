"""The engine service that a release runs as. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pierhead.model.app import Network, Port, Spec, service_name
from pierhead.model.instance import Label
from pierhead.model.release import Release, engine_name
from pierhead.wire.docker.services import Mount, SecretFile, ServiceSpec
from pierhead.wire.docker.services import Port as EnginePort

_HARMLESS = "SIGCONT"
"""What the engine sends first to whatever it stops. It does nothing, and tells the agent to drain."""
_LOG_OPTIONS = {"max-size": "20m", "max-file": "3"}


def spec(cluster: str, release: Release, replicas: int, secrets: Sequence[SecretFile]) -> ServiceSpec:
    """Bridge network, each port published on a host port that the node chooses."""
    wanted = release.spec
    return ServiceSpec(
        name=engine_name(cluster, release.app, release.environment, release.number),
        image=release.image,
        replicas=replicas,
        labels=_labels(cluster, release),
        arguments=wanted.command,
        env=_env(release),
        mounts=[_mount(cluster, release, volume.source, volume.path, volume.read_only) for volume in wanted.volumes],
        ports=[EnginePort(port.container_port) for port in wanted.ports] if wanted.network is Network.BRIDGE else (),
        secrets=secrets,
        constraints=[f"node.labels.{key} == {value}" for key, value in wanted.labels.items()],
        networks=["host"] if wanted.network is Network.HOST else (),
        stop_signal=_HARMLESS,
        stop_grace=wanted.deploy.drain + wanted.deploy.stop,
        cpus=wanted.resources.cpus,
        memory_bytes=wanted.resources.memory_bytes,
        log_options=_LOG_OPTIONS,
    )


def secret_name(cluster: str, release: Release, name: str) -> str:
    """The engine's own name for one version of a secret."""
    return f"{cluster}.{release.app}.{release.environment}.{name}.{release.secrets[name]}"


def _env(release: Release) -> dict[str, str]:
    """What the app finds in its environment; config wins over `pier.yaml`, and that over what Pierhead adds."""
    own = {
        "PIER_APP": release.app,
        "PIER_ENVIRONMENT": release.environment,
        "PIER_RELEASE": release.name,
        "GIT_REV": release.commit,
    }
    if release.spec.ports:
        own["PORT"] = str(release.spec.ports[0].container_port)
    return {**own, **release.spec.env, **release.variables}


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
