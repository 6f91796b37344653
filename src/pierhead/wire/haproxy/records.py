"""What HAProxy answers with, as frozen dataclasses. `read_*` take the text; all are pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

_MAINTENANCE = 0x01 | 0x02 | 0x20
_DRAIN = 0x08 | 0x10
_MASTER = re.compile(r"(\d+)\s+master\s+(\d+)(?: \[failed: (\d+)\])?")
_ENTRY = re.compile(r'key="(.*?)", value="(.*?)"')
_VERSION = re.compile(r"New version created: (\d+)")
_WORKER = re.compile(r"(\d+)\s+worker\s")


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a backend as a worker has it now."""

    backend: str
    name: str
    address: str
    port: int
    weight: int
    admin: int
    """Bits of maintenance (1, 2, 32) and drain (8, 16), and 4 for `disabled` in the file."""
    is_up: bool = True

    @property
    def number(self) -> int:
        """Of servers that are named `s<number>`."""
        return int(self.name[1:]) if self.name[1:].isdecimal() else 0

    @property
    def in_maintenance(self) -> bool:
        return bool(self.admin & _MAINTENANCE)

    @property
    def is_draining(self) -> bool:
        return not self.in_maintenance and bool(self.admin & _DRAIN)


@dataclass(frozen=True, slots=True)
class Load:
    """What one server of a worker is doing."""

    name: str
    address: str
    """`10.0.0.1:80`, `[::1]:80`"""
    requests: int
    """Open at this moment: requests in HTTP mode, connections in TCP mode."""
    total: int
    backend: str = ""
    failed: int = 0
    """Connections that did not come about, and answers that were none."""
    answers: int = 0
    """Requests that were answered."""
    errors: int = 0
    """Of these, with 500 and above."""
    retries: int = 0
    response_ms: int = 0
    """Average of the last 1024."""


@dataclass(frozen=True, slots=True)
class Info:
    """A worker, by `show info`."""

    version: str
    pid: int
    description: str
    connections: int
    dropped_logs: int = 0
    """Datagrams of logs that nobody took."""


@dataclass(frozen=True, slots=True)
class Processes:
    """What the master looks after, by `show proc`."""

    master: int
    reloads: int
    failed: int
    """Reloads that failed since one succeeded."""
    worker: int
    """0: none."""
    old: tuple[int, ...]
    """Workers that finish the connections they have."""


def read_servers(text: str) -> tuple[Server, ...]:
    """From `show servers state`. Source: management guide, 9.3, `show servers state`."""
    rows = (line.split(" ") for line in text.splitlines() if line[:1].isdigit())
    return tuple(_server(row) for row in rows if len(row) > 18)


def read_loads(text: str) -> tuple[Load, ...]:
    """From `show stat <backend> 4 -1`. Source: management guide, 9.1 CSV format."""
    return tuple(map(_load, _table(text)))


STATS = "show stat -1 4 -1"
"""What `read_used` reads the answer to."""


def read_used(text: str) -> tuple[Load, ...]:
    """From `STATS`, only servers that were ever used: of thousands of slots most are empty."""
    heading, *lines = text.splitlines() or [""]
    names = heading.removeprefix("# ").split(",")
    if "stot" not in names:
        return ()
    place, told = names.index("stot"), [name for name in _OF_A_LOAD if name in names]
    values = itemgetter(*map(names.index, told))
    rows = (line.split(",") for line in lines)
    used = (row for row in rows if len(row) >= len(names) and row[place] not in ("", "0"))
    return tuple(_load(dict(zip(told, values(row), strict=True))) for row in used)


_ANSWERS = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
_OF_A_LOAD = ("pxname", "svname", "addr", "scur", "stot", "econ", "eresp", *_ANSWERS, "wretr", "rtime")


def _load(row: Mapping[str, str]) -> Load:
    def number(*names: str) -> int:
        return sum(int(row.get(name) or 0) for name in names)

    return Load(
        name=row["svname"],
        address=row["addr"],
        requests=number("scur"),
        total=number("stot"),
        backend=row["pxname"],
        failed=number("econ", "eresp"),
        answers=number(*_ANSWERS),
        errors=number("hrsp_5xx"),
        retries=number("wretr"),
        response_ms=number("rtime"),
    )


def read_names(text: str) -> tuple[str, ...]:
    """The proxies of `show stat`."""
    return tuple(row["pxname"] for row in _table(text))


def read_info(text: str) -> Info:
    """From `show info`."""
    pairs = (line.split(": ", 1) for line in text.splitlines() if ": " in line)
    values = {pair[0]: pair[1] for pair in pairs}
    return Info(
        version=values.get("Version", ""),
        pid=int(values.get("Pid", "0")),
        description=values.get("description", ""),
        connections=int(values.get("CurrConns", "0")),
        dropped_logs=int(values.get("DroppedLogs", "0")),
    )


def read_entries(text: str) -> dict[str, str]:
    """From `show map <file>`: lines of a pointer, a key and a value. Of a key that is there twice the first counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split(" ", 2)
        if len(words) == 3 and words[0].startswith("0x"):
            found.setdefault(words[1], words[2])
    return found


def read_entry(text: str, key: str) -> str | None:
    """From `get map <file> <key>`, which finds what matches the key, not only the key itself."""
    found = _ENTRY.search(text)
    return found[2] if found and found[1] == key else None


def read_version(text: str) -> int | None:
    """From `prepare map <file>`; None when it was refused."""
    found = _VERSION.search(text)
    return int(found[1]) if found else None


def read_processes(text: str) -> Processes:
    """From the master's `show proc`. Source: management guide, 9.4.1."""
    current, _, old = text.partition("# old workers")
    master = _MASTER.search(current)
    workers = _WORKER.findall(current)
    return Processes(
        master=int(master[1]) if master else 0,
        reloads=int(master[2]) if master else 0,
        failed=int(master[3] or 0) if master else 0,
        worker=int(workers[0]) if workers else 0,
        old=tuple(int(pid) for pid in _WORKER.findall(old)),
    )


def _server(row: list[str]) -> Server:
    return Server(
        backend=row[1],
        name=row[3],
        address=row[4],
        port=int(row[18]),
        weight=int(row[7]),
        admin=int(row[6]),
        is_up=row[5] != "0",
    )


def _table(text: str) -> Iterator[dict[str, str]]:
    """The rows of one or several tables, each below its own heading; what else is said is passed over."""
    heading = ""
    for line in text.splitlines():
        if line.startswith("# "):
            heading = line[2:]
        elif heading and line.count(",") >= heading.count(",") > 0:
            yield from csv.DictReader([heading, line])
