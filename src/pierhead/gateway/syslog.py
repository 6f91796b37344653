"""Syslog as a place for the access log: a datagram a line, to this machine's socket or over UDP.

Whoever listens may be away: then lines are lost and counted, and nobody waits.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pierhead.kit import clock

PROGRAM = "pierhead-gateway"
PRIORITY = 16 * 8 + 6
"""local0, informational."""
PATIENCE_SECONDS = 1.0
"""For a socket of this machine that is full."""
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class Syslog:
    """`where`: the path of a socket, such as `/dev/log`, or `host:port` for UDP."""

    def __init__(self, where: str, host: str) -> None:
        self.where = where
        self._host = host
        self._socket: socket.socket | None = None

    def write(self, lines: Sequence[str]) -> tuple[int, str]:
        """How many were sent, and why the rest was not. Blocks, for a second at most where nobody takes any."""
        for sent, line in enumerate(lines):
            try:
                self._connected().send(self._datagram(line))
            except OSError as error:
                self.close()
                return sent, f"{self.where}: {error.strerror or error}"
        return len(lines), ""

    def close(self) -> None:
        """Nothing is held open; `write` opens it again."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _datagram(self, line: str) -> bytes:
        form = local if self.where.startswith("/") else remote
        return form(line, clock.now(), self._host).encode()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = _connected(self.where)
        return self._socket


def local(line: str, now: datetime, _: str = "") -> str:
    """As the machine's own log socket takes it. Source: RFC 3164, 4.1, without a host name, as syslog(3) writes it."""
    there = now.astimezone()
    when = f"{_MONTHS[there.month - 1]} {there.day:2} {there:%H:%M:%S}"
    return f"<{PRIORITY}>{when} {PROGRAM}[{os.getpid()}]: {line}"


def remote(line: str, now: datetime, host: str) -> str:
    """Source: RFC 5424, 6."""
    when = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"<{PRIORITY}>1 {when} {host} {PROGRAM} {os.getpid()} access - {line}"


def _connected(where: str) -> socket.socket:
    if where.startswith("/"):
        return _connect(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), where)
    host, _, port = where.rpartition(":")
    family, kind, protocol, _, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    return _connect(socket.socket(family, kind, protocol), place)


def _connect(found: socket.socket, address: str | tuple[Any, ...]) -> socket.socket:
    try:
        found.settimeout(PATIENCE_SECONDS)
        found.connect(address)
    except OSError:
        found.close()
        raise
    return found
