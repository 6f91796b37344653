"""Where a container's port is reached from outside. Pure.

A published port is reached at the node's advertise address, whatever network the container is in; at the binding's own
address when that is a specific one, loopback included: such a port can be reached from this machine only, and saying so
is right for everything that runs on one machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from pierhead.wire.docker.containers import Binding, Container

HOST = "host"
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104


@dataclass(frozen=True, slots=True)
class Place:
    address: str
    port: int


def of(container: Container, port: str, advertise: str, advertise_ipv6: str = "") -> Place | None:
    """Where `port` (`8000/tcp`) is reached; None when it is not published, or only in a family that has no address.

    `advertise_ipv6`: for what is published on every IPv6 address only, where `advertise` is an IPv4 one.
    """
    if container.network == HOST:
        return Place(advertise, int(port.partition("/")[0]))
    bindings = container.ports.get(port, ())
    if not bindings:
        return None
    chosen = min(bindings, key=lambda binding: _order(binding, advertise))
    if chosen.address not in _EVERYWHERE:
        return Place(chosen.address, chosen.port)
    known = next((one for one in (advertise, advertise_ipv6) if one and _speaks(one, chosen.address)), "")
    return Place(known, chosen.port) if known else None


def published(container: Container) -> Sequence[str]:
    """The container's ports that are reached from outside, by number: none while it does not run, and none of a
    container in another one's network, whose ports are that one's."""
    if not container.running:
        return ()
    found = container.exposed if container.network == HOST else {p for p, found in container.ports.items() if found}
    return sorted(found, key=lambda port: (int(port.partition("/")[0]), port))


def _speaks(address: str, everywhere: str) -> bool:
    return not everywhere or (":" in address) == (":" in everywhere)


def _order(binding: Binding, advertise: str) -> tuple[bool, bool, bool, int]:
    """Every address before a specific one, loopback last, the advertised family first, then the lowest port."""
    if binding.address in _EVERYWHERE:
        return False, False, (":" in binding.address) != (":" in advertise), binding.port
    address = ipaddress.ip_address(binding.address)
    return True, address.is_loopback, (address.version == 6) != (":" in advertise), binding.port
