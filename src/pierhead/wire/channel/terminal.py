"""What is said about a command that runs in an instance: one message each, byte 0 says what follows. Pure.

The same messages go from whoever watches the command to the server, and from there to the node's agent. Both ends keep
what the other one has not taken yet, so a session goes on after any connection between them was lost.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from pierhead.kit import errors

LARGEST = 15 << 10
"""Bytes of input or output in one message at most."""
INPUT_WINDOW = 64 << 10
"""Input that may be on its way: sent, and not taken by the command."""
OUTPUT_WINDOW = 256 << 10
"""Output that may be on its way. When it is, the command waits."""


class Said(IntEnum):
    """To the node."""

    INPUT = 0
    SIZE = 1
    """`{"rows", "columns"}`"""
    END_OF_INPUT = 2
    TAKEN = 3
    """`{"output"}`: bytes of output, from the beginning of the session, that need not be sent again."""


class Heard(IntEnum):
    """From the node."""

    STDOUT = 1
    STDERR = 2
    ENDED = 3
    """`{"exit_code"}`: after the last output."""
    ERROR = 4
    """`{"error"}`, as elsewhere in the API. Only of the server."""
    SESSION = 5
    """`{"session", "input", "limit_seconds"}`: the first message. A watcher that was cut off names the session within
    the limit to go on; `input` is how many bytes of input have come so far."""
    TAKEN = 6
    """`{"input"}`: bytes of input, from the beginning of the session, that need not be sent again."""


def message(kind: Said | Heard, **body: Any) -> bytes:
    return bytes([kind]) + json.dumps(body).encode()


def split(kind: Said | Heard, data: bytes) -> Iterator[bytes]:
    """`data` in messages that are not too large."""
    for start in range(0, len(data), LARGEST):
        yield bytes([kind]) + data[start : start + LARGEST]


def read(body: bytes, *names: str) -> list[int]:
    """The numbers of those names in a message's body. Raises: Invalid."""
    try:
        value = json.loads(body)
        return [int(value[name]) for name in names]
    except (ValueError, KeyError, TypeError) as error:
        raise errors.Invalid(f"A message of a terminal does not say {', '.join(names)}: {body[:100]!r}") from error


class Kept:
    """What was sent and not taken, by its place in everything that was sent."""

    def __init__(self) -> None:
        self.end = 0
        self._starts: list[int] = []
        self._pieces: list[tuple[int, bytes]] = []

    @property
    def size(self) -> int:
        return self.end - self._starts[0] if self._starts else 0

    def add(self, kind: int, data: bytes) -> None:
        """Small pieces of one kind become one, so that keeping them costs little."""
        if self._pieces and self._pieces[-1][0] == kind and len(self._pieces[-1][1]) + len(data) <= LARGEST:
            self._pieces[-1] = (kind, self._pieces[-1][1] + data)
        elif data:
            self._starts.append(self.end)
            self._pieces.append((kind, data))
        self.end += len(data)

    def taken(self, place: int) -> None:
        """Nothing before `place` will be asked for again."""
        count = max(0, bisect_right(self._starts, place) - 1)
        if place >= self.end:
            count = len(self._starts)
        del self._starts[:count], self._pieces[:count]

    def after(self, place: int) -> list[tuple[int, bytes]]:
        """What was sent from `place` on. Raises: Conflict (that is not kept any more, or was never sent)."""
        first = self._starts[0] if self._starts else self.end
        if not first <= place <= self.end:
            raise errors.Conflict(
                f"What was sent from byte {place} on is not kept: {first} to {self.end} is.",
                hint="The session cannot go on here; begin a new one.",
            )
        at = max(0, bisect_right(self._starts, place) - 1)
        found = self._pieces[at:]
        if found and place > self._starts[at]:
            found[0] = (found[0][0], found[0][1][place - self._starts[at] :])
        return [(kind, data) for kind, data in found if data]
