"""The routes that services ask for themselves: metadata `route: host/path`, for containers SERVICE_ROUTE. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pierhead.model.app import Protocol
from pierhead.model.instance import Endpoint, Meta
from pierhead.model.route import Route


def routes(service: str, endpoints: Sequence[Endpoint]) -> tuple[Route, ...]:
    """The routes that the endpoints of a service ask for together, one for each host.

    Each endpoint may name several places, separated by spaces or commas; one without a path is the whole host. Where a
    document leads a place elsewhere the document counts, and among metadata the service whose name comes first.
    """
    paths: dict[str, set[str]] = {}
    for endpoint in endpoints:
        for host, path in _places(endpoint):
            paths.setdefault(host, set()).add(path)
    protocol = _protocol(endpoints)
    return tuple(
        Route(f"{host} (metadata of {service})", service, protocol, (host,), tuple(sorted(found)))
        for host, found in sorted(paths.items())
    )


def _places(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    for text in endpoint.meta.get(Meta.ROUTE, "").replace(",", " ").split():
        host, _, path = text.removeprefix("http://").partition("/")
        yield host.lower(), f"/{path}"


def _protocol(endpoints: Iterable[Endpoint]) -> Protocol:
    said = {endpoint.meta.get(Meta.PROTOCOL, "") for endpoint in endpoints}
    return Protocol.GRPC if said == {Protocol.GRPC.value} else Protocol.HTTP
