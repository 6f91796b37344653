"""What leads a request to a service: the document under `pier/routes/<name>` in the catalog's key-value store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.model.app import Protocol

PREFIX = "pier/routes/"


@dataclass(frozen=True, slots=True)
class Route:
    """Requests for `hosts` and `paths`, or to `service_port` of a gateway, go to the instances of `service`."""

    name: str
    service: str
    protocol: Protocol = Protocol.HTTP
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("/",)
    service_port: int | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    """Release (`v3`) → weight 0…256. A release that is not named has weight 100."""
    owner: str = ""
    """The cluster whose releases it leads to, and which keeps it; empty: a person wrote it."""

    @property
    def key(self) -> str:
        return PREFIX + self.name


def document(route: Route) -> dict[str, Any]:
    """The JSON object that is stored; `read` is its inverse."""
    return {
        "service": route.service,
        "protocol": route.protocol.value,
        "hosts": list(route.hosts),
        "paths": list(route.paths),
        "service_port": route.service_port,
        "weights": dict(route.weights),
        "owner": route.owner,
    }


def read(name: str, value: Any) -> Route:
    """The route that a stored document describes. Raises: ValueError with the field and the reason."""
    if not isinstance(value, dict):
        raise ValueError("a route is a JSON object")  # noqa: TRY004
    unknown = value.keys() - {"service", "protocol", "hosts", "paths", "service_port", "weights", "owner"}
    if unknown:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
    service = value.get("service")
    if not isinstance(service, str) or not service:
        raise ValueError("service: must name a service of the catalog")
    port = value.get("service_port")
    if port is not None and not (isinstance(port, int) and 0 < port < 65536):
        raise ValueError("service_port: must be a port number")
    weights = value.get("weights") or {}
    if not isinstance(weights, dict) or not all(isinstance(w, int) and 0 <= w <= 256 for w in weights.values()):
        raise ValueError("weights: release → 0…256")
    return Route(
        name=name,
        service=service,
        protocol=_protocol(value.get("protocol") or "http"),
        hosts=_texts("hosts", value.get("hosts") or []),
        paths=_texts("paths", value.get("paths") or ["/"]),
        service_port=port,
        weights=weights,
        owner=str(value.get("owner") or ""),
    )


def _protocol(value: Any) -> Protocol:
    try:
        return Protocol(value)
    except ValueError:
        raise ValueError(f"protocol: {value!r} is none of {', '.join(Protocol)}") from None


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{name}: must be a list of texts")
    return tuple(value)
