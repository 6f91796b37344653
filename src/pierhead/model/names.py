"""The names that an app answers to in an environment. No two may be the same in one cluster."""

from __future__ import annotations

from pierhead.model.app import Protocol, Spec, host_name, service_name


def claimed(spec: Spec, environment: str, domain: str) -> frozenset[str]:
    """Service names of the catalog (`service notes-dev`), and host with path (`notes.localhost/`)."""
    found = set()
    for position, port in enumerate(spec.ports):
        is_first = position == 0
        found.add(f"service {service_name(spec.app, environment, port, is_first=is_first)}")
        if port.protocol in (Protocol.HTTP, Protocol.GRPC):
            own = host_name(spec.app, environment, domain)
            hosts = (own if is_first else f"{port.name}.{own}", *port.hosts)
            found |= {f"{host}{path}" for host in hosts for path in port.paths}
    return frozenset(found)
