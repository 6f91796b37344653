"""Whether a container in the host's network really has the port that it would be registered with.

A published port is the container's as long as the engine says so: nobody else can listen there. In the host's network
nobody keeps ports apart, so the one who listens is looked up: in the kernel's tables, and by the control group that the
container's processes are in. Where that cannot be told (another machine's engine, not root) nothing is claimed.

Source: proc(5): /proc/net/tcp, /proc/<pid>/fd, /proc/<pid>/cgroup; cgroups(7).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pierhead.agent.address import HOST
from pierhead.agent.endpoint import Endpoint
from pierhead.wire.docker.containers import Container

_LISTEN = "0A"
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


def inodes(table: str, port: int) -> set[str]:
    """The sockets that listen at the port, from the text of /proc/net/tcp or tcp6. Pure."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {row[9] for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port}


def groups(text: str) -> list[str]:
    """The folders of a process's control groups below the mount point, from the text of /proc/<pid>/cgroup. Pure."""
    found = []
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if path != "/":
            found.append(f"{controllers.split(',')[0]}{path}" if controllers else path.lstrip("/"))
    return found


def _listening(port: int) -> set[str]:
    found: set[str] = set()
    for name in ("tcp", "tcp6"):
        path = _PROC / "net" / name
        found |= inodes(path.read_text(), port) if path.exists() else set()
    return found


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
