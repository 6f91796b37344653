"""Who this agent is: an id that is made once and kept, never the host's name; and the lock that only one can hold."""

from __future__ import annotations

import fcntl
import json
import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pierhead.agent.endpoint import Node
from pierhead.agent.options import Options
from pierhead.kit import errors, files

_FILE = "node.json"
_LOCK = "agent.lock"
_TRIES, _PAUSE_SECONDS = 3, 0.02


@contextmanager
def held(data: Path) -> Iterator[None]:
    """No other agent uses the folder `data`. Raises: Conflict (one does)."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / _LOCK).open("a") as lock:
        if not any(_takes(lock) for _ in range(_TRIES)):
            raise errors.Conflict(
                f"Another agent uses the folder {data}.", hint="Each agent needs a data folder of its own: --data."
            )
        yield


def is_held(data: Path) -> bool:
    """An agent uses the folder `data` now."""
    try:
        with (data / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def node(options: Options) -> Node:
    """The node of the data folder; made when there is none. A name that is given now replaces the one it had.

    Raises: Invalid (the file in the folder was changed).
    """
    path = options.data / _FILE
    before = _read(path)
    found = {
        "id": before.get("id") or str(uuid.uuid4()),
        "name": options.node_name or before.get("name") or platform.node(),
    }
    if found != before:
        files.replace(path, json.dumps(found, indent=2) + "\n", mode=0o644)
    return Node(found["id"], found["name"], options.advertise, options.cluster, options.advertise_ipv6)


def _takes(lock: IO[str]) -> bool:
    """False after a moment: `is_held` holds the lock for as long as it takes to look."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_PAUSE_SECONDS)
        return False
    return True


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text())
        return {"id": str(value["id"]), "name": str(value["name"])}
    except (ValueError, KeyError, TypeError) as error:
        raise errors.Invalid(
            f"{path} does not tell who this node is: {error!r}",
            hint="Restore it. Without it this is a new node, and what the old one registered stays.",
        ) from error
