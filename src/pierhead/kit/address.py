"""The address under which other machines reach this one."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from pierhead.kit import errors

_SIOCGIFADDR = 0x8915
_INNER = ("lo", "docker", "br-", "veth", "virbr", "cni", "flannel")
"""How the names of interfaces begin that lead nowhere but into this machine."""
LOOPBACK = "127.0.0.1"


def own() -> str:
    """The address of the interface that holds the default route. Without a route: the only one there is, or loopback.

    Raises: Conflict (several are as good as each other).
    """
    return choose(Path("/proc/net/route").read_text(), addresses())


def choose(routes: str, held: Mapping[str, str]) -> str:
    """What `own` promises, from the text of /proc/net/route and the address of each interface."""
    leading = [name for name in default_interfaces(routes) if name in held]
    found = leading or sorted(name for name in held if not name.startswith(_INNER))
    if not found:
        return LOOPBACK
    if len({held[name] for name in found}) > 1:
        listed = ", ".join(f"{held[name]} ({name})" for name in found)
        raise errors.Conflict(f"This machine has several addresses that are as good as each other: {listed}.")
    return held[found[0]]


def default_interfaces(routes: str) -> list[str]:
    """The interfaces that hold the default route with the lowest metric. Source: /proc/net/route."""
    rows = [line.split() for line in routes.splitlines()[1:]]
    defaults = [(int(row[6]), row[0]) for row in rows if row[1] == row[7] == "00000000"]
    best = min((metric for metric, _ in defaults), default=0)
    return list(dict.fromkeys(name for metric, name in defaults if metric == best))


def addresses() -> dict[str, str]:
    """The first IPv4 address of each interface that has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        found = {name: _address(asked, name) for _, name in socket.if_nameindex()}
    return {name: address for name, address in found.items() if address}


def _address(asked: socket.socket, name: str) -> str:
    """Source: netdevice(7), SIOCGIFADDR: a sockaddr_in behind 16 bytes of name."""
    try:
        answer = fcntl.ioctl(asked.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
    except OSError:
        return ""
    return socket.inet_ntoa(answer[20:24])
