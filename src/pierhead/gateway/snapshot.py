"""What the catalog says that concerns a gateway, and the text it is kept as on disk. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.gateway.material import NONE, Material
from pierhead.model import route as routes_
from pierhead.model.instance import Endpoint, State
from pierhead.model.route import Route


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Routes and the endpoints of the services they lead to, as of the catalog's index."""

    routes: Mapping[str, Route] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    """Route → why its document cannot be read."""
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)
    """Service → its endpoints. Only routed services; one that was not asked for yet is missing."""
    index: int = 0
    certificates: Mapping[str, str] = field(default_factory=dict)
    """Certificate → its document as the catalog has it, the key sealed."""
    material: Material = NONE
    """What came of the certificates and of this machine's own files; never kept on disk with the rest."""

    @property
    def services(self) -> frozenset[str]:
        """The services that some route leads to."""
        return frozenset(route.service for route in self.routes.values() if route.service)


def text(snapshot: Snapshot) -> str:
    """`snapshot` as JSON; `read` is its inverse."""
    value = {
        "index": snapshot.index,
        "routes": {name: routes_.document(route) for name, route in snapshot.routes.items()},
        "refused": dict(snapshot.refused),
        "certificates": dict(snapshot.certificates),
        "endpoints": {service: [_endpoint(e) for e in found] for service, found in snapshot.endpoints.items()},
    }
    return json.dumps(value)


def read(value: str) -> Snapshot:
    """Raises: ValueError, KeyError, TypeError when it is no snapshot's text."""
    kept = json.loads(value)
    return Snapshot(
        routes={name: routes_.read(name, document) for name, document in kept["routes"].items()},
        refused=kept["refused"],
        certificates=kept.get("certificates", {}),
        endpoints={
            service: tuple(_read_endpoint(service, entry) for entry in found)
            for service, found in kept["endpoints"].items()
        },
        index=int(kept["index"]),
    )


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "address": endpoint.address,
        "port": endpoint.port,
        "state": endpoint.state.value,
        "meta": dict(endpoint.meta),
    }


def _read_endpoint(service: str, value: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        id=value["id"],
        service=service,
        address=value["address"],
        port=int(value["port"]),
        state=State(value["state"]),
        meta=value["meta"],
    )
