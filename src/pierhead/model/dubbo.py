"""What a Dubbo provider is told so that it registers the host's address and port instead of its own. Pure.

Source: Apache Dubbo, ServiceConfig.getValueFromConfig: `<PROTOCOL>_DUBBO_…` comes before `DUBBO_…`, which holds for
every protocol of the process. So a port has the name of its protocol (`dubbo`, `tri`, `rest`), and where there are
several only the names with the protocol in front are given.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reached:
    bind: int
    """The port inside the container."""
    host: int
    """The port of the node."""
    address: str = ""
    """Of the node; empty while it is not known."""


def variables(ports: Mapping[str, Reached]) -> dict[str, str]:
    """By the names of the ports. A loopback address is left out: Dubbo does not start with one."""
    found: dict[str, str] = {}
    for name, port in ports.items():
        told = {"DUBBO_PORT_TO_REGISTRY": str(port.host), "DUBBO_PORT_TO_BIND": str(port.bind)}
        if port.address and not _is_loopback(port.address):
            told["DUBBO_IP_TO_REGISTRY"] = port.address
        found |= {f"{variable(name)}_{key}": value for key, value in told.items()}
        found |= told if len(ports) == 1 else {}
    return found


def variable(name: str) -> str:
    """The name of a port as a part of a variable's."""
    return name.upper().replace("-", "_")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
