"""The names that an app answers to in an environment. No two may be the same in one cluster."""

from __future__ import annotations

from pierhead.model.app import Domains, Protocol, Spec, Strategy, service_name


def claimed(spec: Spec, environment: str, domains: Domains) -> frozenset[str]:
    """Service names of the catalog (`service notes-dev`), host with path (`notes.localhost/`), names in TLS."""
    found = set()
    for position, port in enumerate(spec.ports):
        is_first = position == 0
        found.add(f"service {service_name(spec.app, environment, port, is_first=is_first)}")
        hosts = domains.of(spec, environment).hosts(spec.app, environment, port, is_first=is_first)
        if port.protocol is Protocol.TCP:
            found |= {f"tls {host}" for host in hosts}
        elif port.protocol in (Protocol.HTTP, Protocol.GRPC):
            if spec.deploy.strategy is Strategy.BLUE_GREEN:
                hosts = (*hosts, f"preview.{hosts[0]}")
            found |= {f"{host}{path}" for host in hosts for path in port.paths}
            found |= {f"{host}/" for host in port.redirect_hosts}
    return frozenset(found)
