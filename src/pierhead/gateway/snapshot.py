"""What the catalog says that concerns a gateway, and the documents it is kept as on disk. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
    material: Material = NONE
    """What came of the certificates and of this machine's own files; never kept on disk with the rest."""
    implied: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    """Service → the routes that its own metadata asks for."""

    @property
    def services(self) -> frozenset[str]:
        """The services that some route leads to."""
        routed = frozenset(route.service for route in self.routes.values() if route.service)
        return routed | self.implied.keys()

    @property
    def all_routes(self) -> Iterator[Route]:
        """Those by document, then those by metadata."""
        yield from self.routes.values()
        for asked in self.implied.values():
            yield from asked


def read(found: Mapping[str, Mapping[str, Any]]) -> Snapshot:
    """The snapshot that these documents describe: kind → name → document, as `KINDS` writes them.

    Raises: ValueError, KeyError, TypeError when they describe none.
    """
    return Snapshot(
        routes={name: routes_.read(name, value) for name, value in found["route"].items()},
        refused=found["refused"],
        endpoints={
            service: tuple(_read_endpoint(service, entry) for entry in value)
            for service, value in found["endpoints"].items()
        },
        implied={
            service: tuple(routes_.read(entry["name"], entry["route"]) for entry in value)
            for service, value in found["implied"].items()
        },
    )


def _endpoints(found: tuple[Endpoint, ...]) -> list[dict[str, Any]]:
    return [_endpoint(endpoint) for endpoint in found]


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "address": endpoint.address,
        "port": endpoint.port,
        "state": endpoint.state.value,
        "meta": dict(endpoint.meta),
        "weight": endpoint.weight,
    }


def _implied(found: tuple[Route, ...]) -> list[dict[str, Any]]:
    return [{"name": route.name, "route": routes_.document(route)} for route in found]


KINDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "route": ("routes", routes_.document),
    "refused": ("refused", str),
    "implied": ("implied", _implied),
    "endpoints": ("endpoints", _endpoints),
}
"""Kind of document → the field of `Snapshot` that it is about, and what makes it of one of the field's values."""


def _read_endpoint(service: str, value: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        id=value["id"],
        service=service,
        address=value["address"],
        port=int(value["port"]),
        state=State(value["state"]),
        meta=value["meta"],
        weight=value["weight"],
    )
