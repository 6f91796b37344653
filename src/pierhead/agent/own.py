"""What the labels of Pierhead's own containers say. Pure. The labels' forms are in `model.instance.Label`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pierhead.agent import address
from pierhead.agent.endpoint import SHORTEST, Endpoint, Kind, Node, Probe, Stop
from pierhead.kit import errors
from pierhead.model.instance import Label, Meta
from pierhead.wire.docker.containers import Container

_STOP = {"signal": "", "drain_seconds": 30, "stop_seconds": 10}
_HEALTH: dict[str, Any] = {
    "probe": "tcp",
    "path": "/",
    "port": "",
    "interval_seconds": 5,
    "timeout_seconds": 2,
    "rise": 1,
    "fall": 3,
}


def endpoints(node: Node, container: Container) -> list[Endpoint]:
    """One for each port of the label that is reached from outside. Raises: Invalid (a label cannot be read)."""
    ports: list[dict[str, Any]] = _label(container, Label.PORTS, [])
    health = {**_HEALTH, **_label(container, Label.HEALTH, {})}
    try:
        asked = health["port"] or (ports[0]["name"] if ports else "")
        found = [_endpoint(node, container, port, probe(health, is_asked=port["name"] == asked)) for port in ports]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise errors.Invalid(f"The labels of {container.name} cannot be read: {error!r}") from error
    return [endpoint for endpoint in found if endpoint]


def stop(container: Container) -> Stop:
    """How it wants to be stopped; the usual where its label cannot be read."""
    try:
        value = {**_STOP, **_label(container, Label.STOP, {})}
        return Stop(
            str(value["signal"] or ""),
            timedelta(seconds=float(value["drain_seconds"])),
            timedelta(seconds=float(value["stop_seconds"])),
        )
    except (errors.Invalid, TypeError, ValueError, OverflowError):
        return Stop("", timedelta(seconds=30), timedelta(seconds=10))


def probe(health: Mapping[str, Any], *, is_asked: bool) -> Probe:
    """The label names the port that decides; the other ports of the container only have to accept connections."""
    kind = Kind(health["probe"])
    if kind is not Kind.NONE and not is_asked:
        kind = Kind.TCP
    return Probe(
        kind=kind,
        path=str(health["path"]),
        interval=max(SHORTEST, timedelta(seconds=float(health["interval_seconds"]))),
        timeout=max(SHORTEST, timedelta(seconds=float(health["timeout_seconds"]))),
        rise=max(1, int(health["rise"])),
        fall=max(1, int(health["fall"])),
        decides=kind is not Kind.NONE,
    )


def _endpoint(node: Node, container: Container, port: Mapping[str, Any], asked: Probe) -> Endpoint | None:
    number = int(port["port"])
    place = None
    if container.running:
        place = address.of(container, f"{number}/tcp", node.advertise, node.advertise_ipv6)
    if place is None:
        return None
    labels = container.labels
    environment, release = labels.get(Label.ENVIRONMENT, ""), labels.get(Label.RELEASE, "")
    meta = {
        Meta.OWNER: node.id,
        Meta.KIND: "container",
        Meta.NODE: node.name,
        Meta.INSTANCE: container.id,
        Meta.APP: labels.get(Label.APP, ""),
        Meta.ENVIRONMENT: environment,
        Meta.RELEASE: release,
        Meta.PORT: str(port["name"]),
        Meta.PROTOCOL: str(port["protocol"]),
        Meta.CLUSTER: node.cluster,
    }
    return Endpoint(
        id=f"{node.name}:{container.name}:{number}",
        service=str(port["service"]),
        address=place.address,
        port=place.port,
        container_port=f"{number}/tcp",
        tags=tuple(tag for tag in (environment, release) if tag),
        meta=meta,
        probe=asked,
    )


def _label(container: Container, name: str, default: Any) -> Any:
    """The JSON of a label, of the same shape as `default`."""
    text = container.labels.get(name, "")
    if not text:
        return default
    try:
        value = json.loads(text)
    except ValueError as error:
        raise errors.Invalid(f"The label {name} of {container.name} is no JSON: {text[:80]!r}") from error
    if not isinstance(value, type(default)):
        raise errors.Invalid(f"The label {name} of {container.name} has another form: {text[:80]!r}")
    return value
