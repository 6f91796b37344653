"""Ports that nobody has."""

from __future__ import annotations

import contextlib
import random
import socket

_BELOW_THE_EPHEMERAL = range(20_000, 32_768)
"""What the system gives out by itself, to connections and to containers, is above: nobody gets in between."""


def free(count: int) -> list[int]:
    """So many different TCP ports of loopback that are free now.

    Raises: OSError (there are not that many).
    """
    found: list[int] = []
    for port in random.sample(_BELOW_THE_EPHEMERAL, len(_BELOW_THE_EPHEMERAL)):
        if len(found) == count:
            return found
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    raise OSError(f"{count} ports are not free")


def free_port() -> int:
    """One of them."""
    return free(1)[0]
