"""Who listens, by the kernel's own tables.

A container's own network tells when its app listens. A published port is the container's as long as the engine says so:
nobody else can listen there. In the host's network nobody keeps ports apart, so whether a container really has the port
that it would be registered with is looked up: in the kernel's tables, and by the control group that its processes are
in. Where that cannot be told (another machine's engine, not root) nothing is claimed.

Source: proc(5): /proc/net/tcp, /proc/<pid>/fd, /proc/<pid>/cgroup; cgroups(7).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pierhead.agent.address import HOST
from pierhead.agent.endpoint import Endpoint
from pierhead.wire.docker.containers import Container

_LISTEN = "0A"
_LOOPBACK = ("7F", "00000000000000000000000001000000")
"""How 127.0.0.0/8, also within IPv6, and ::1 end as the kernel writes them."""
_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def strangers(container: Container, endpoints: Sequence[Endpoint]) -> dict[str, str]:
    """Endpoint → why its port is not the container's, for those where somebody else listens.

    Blocks on the kernel's files. A port where nobody listens has no stranger, nor has one where it cannot be told who
    does.
    """
    found = {one.id: _listening(one.port) for one in endpoints if one.container_port.endswith("/tcp")}
    if container.network != HOST or not any(found.values()):
        return {}
    own = set(_sockets(pids)) if (pids := _processes(container.pid)) else None
    return {
        one.id: f"at port {one.port} another program listens, not {container.name}"
        for one in endpoints
        if own is not None and found.get(one.id) and found[one.id].isdisjoint(own)
    }


def listens(pid: int, port: int) -> bool:
    """Somebody listens for others at the TCP port in the process's network; False where that cannot be told.

    Reads the kernel's files, which have few lines in a container's network.
    """
    return any(is_open(table, port) for table in _tables(_PROC / str(pid) / "net"))


def is_open(table: str, port: int) -> bool:
    """Whether somebody listens at the port, and not on loopback alone, by the text of /proc/net/tcp or tcp6. Pure."""
    places = (row[1].rpartition(":")[0] for row in _listeners(table, port))
    return any(not place.endswith(_LOOPBACK) for place in places)


def inodes(table: str, port: int) -> set[str]:
    """The sockets that listen at the port, from the text of /proc/net/tcp or tcp6. Pure."""
    return {row[9] for row in _listeners(table, port)}


def _listeners(table: str, port: int) -> Iterator[list[str]]:
    rows = (line.split() for line in table.splitlines()[1:])
    return (row for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port)


def groups(text: str) -> list[str]:
    """The folders of a process's control groups below the mount point, from the text of /proc/<pid>/cgroup. Pure."""
    found = []
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if path != "/":
            found.append(f"{controllers.split(',')[0]}{path}" if controllers else path.lstrip("/"))
    return found


def _listening(port: int) -> set[str]:
    return {inode for table in _tables(_PROC / "net") for inode in inodes(table, port)}


def _tables(folder: Path) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):  # no IPv6, or the process has ended
            yield (folder / name).read_text()


def _processes(pid: int) -> list[str]:
    """All processes of the control group that `pid` is in; none where that cannot be told."""
    try:
        names = groups((_PROC / str(pid) / "cgroup").read_text())
    except OSError:
        return []
    for name in names:
        lists = sorted((_GROUPS / name).rglob("cgroup.procs"))
        if lists:
            return [pid for one in lists for pid in one.read_text().split()]
    return []


def _sockets(pids: Iterable[str]) -> Iterator[str]:
    for pid in pids:
        folder = _PROC / pid / "fd"
        try:
            targets = [os.readlink(folder / name) for name in os.listdir(folder)]
        except OSError:
            continue  # it has ended, or closed one meanwhile
        yield from (target[8:-1] for target in targets if target.startswith("socket:["))
