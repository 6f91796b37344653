"""The ports that Pierhead listens on: which are free, and who has those that are not."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from errno import EADDRINUSE
from pathlib import Path

from pierhead.kit import process
from pierhead.kit.errors import Problem
from pierhead.settings import Settings

_LISTENING = "0A"
_TABLES = {False: ("tcp", "tcp6"), True: ("udp", "udp6")}


@dataclass(frozen=True, slots=True)
class Port:
    """One address to listen on, and the setting that chooses it."""

    setting: str
    host: str
    number: int
    udp: bool = False

    @property
    def variable(self) -> str:
        return "PIER_" + self.setting.upper().replace(".", "_")

    def __str__(self) -> str:
        return f"{self.host}:{self.number}{'/udp' if self.udp else ''}"


def wanted(settings: Settings) -> Iterator[Port]:
    """What a Pierhead with these settings listens on."""
    yield Port("api.port", settings.api.host, settings.api.port)
    yield Port("gateway.http_port", settings.gateway.host, settings.gateway.http_port)
    yield Port("gateway.admin_port", settings.gateway.admin_host, settings.gateway.admin_port)
    yield Port("resolver.port", settings.resolver.host, settings.resolver.port)
    yield Port("resolver.port", settings.resolver.host, settings.resolver.port, udp=True)
    if not settings.registry.address:
        yield Port("registry.port", settings.registry.host, settings.registry.port)
    if settings.catalog.mode == "embedded":
        yield Port("catalog.port", settings.catalog.host, settings.catalog.port)


def problems(settings: Settings, ours: Collection[int]) -> Iterator[Problem]:
    """Why Pierhead could not listen. A port that a process of `ours` (pids) or a child of one has is no problem."""
    asked = list(wanted(settings))
    yield from twice(asked)
    for port in asked:
        error = _refusal(port)
        if error is None:
            continue
        if error.errno != EADDRINUSE:
            yield Problem(port.setting, f"cannot listen on {port}: {error.strerror}")
            continue
        owner = owner_of(port)
        if owner is None or not _belongs(owner, ours):
            who = (process.describe(owner) if owner else "") or "another process"
            hint = f"stop it, or choose another port with `-o {port.setting}=PORT` or {port.variable}"
            yield Problem(port.setting, f"{port} is taken by {who}", hint)


def twice(ports: Collection[Port]) -> Iterator[Problem]:
    """Two settings that want the same port."""
    seen: dict[tuple[int, bool], Port] = {}
    for port in ports:
        other = seen.setdefault((port.number, port.udp), port)
        if other is not port and (other.host == port.host or "0.0.0.0" in (other.host, port.host)):  # noqa: S104
            yield Problem(port.setting, f"{port} is the port of {other.setting} too", "choose another for one of them")


def owner_of(port: Port) -> int | None:
    """The pid of a process that listens on that port, where it may be known."""
    inodes: set[str] = set()
    for table in _TABLES[port.udp]:
        path = Path("/proc/net") / table
        if path.exists():
            inodes |= sockets(path.read_text(), port.number, udp=port.udp)
    return next(_holders({f"socket:[{inode}]" for inode in inodes}), None)


def sockets(table: str, number: int, *, udp: bool) -> set[str]:
    """The inodes of the sockets that listen on port `number`. Source: proc(5), /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[9] for row in rows if int(row[1].rpartition(":")[2], 16) == number and (udp or row[3] == _LISTENING)}


def _refusal(port: Port) -> OSError | None:
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    kind = socket.SOCK_DGRAM if port.udp else socket.SOCK_STREAM
    with socket.socket(family, kind) as tried:
        if not port.udp:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((port.host, port.number))
        except OSError as error:
            return error
    return None


def _holders(names: Collection[str]) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(os.readlink(entry) in names for entry in folder.iterdir()):
                yield int(folder.parent.name)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue


def _belongs(pid: int, ours: Collection[int]) -> bool:
    while pid > 1:
        if pid in ours:
            return True
        pid = process.parent(pid)
    return False
