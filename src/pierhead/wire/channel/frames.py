"""Frames: one WebSocket message each. Pure.

byte 0        kind
bytes 1 to 4  stream, unsigned, most significant byte first; 0 for the connection as a whole
the rest      DATA: bytes as they are; CREDIT: unsigned 32 bits; everything else: one JSON object, or nothing
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pierhead.kit import errors

LARGEST = 16 << 10
"""Bytes of data in one frame at most, so that no stream waits long for another one's."""
_LARGEST_BODY = 1 << 20
_HEADER = struct.Struct("!BI")
_CREDIT = struct.Struct("!I")


class Kind(IntEnum):
    HELLO = 0
    """The first frame of the node: who it is, and which versions it speaks."""
    WELCOME = 1
    """The server's answer to it, with the version that is spoken from here on."""
    REFUSED = 2
    """The server's other answer, with an error; then it hangs up. Also later, when the node is not wanted any more."""
    OPEN = 3
    """Of the server: a new stream, and what is wanted of it. Numbers grow and are never used again."""
    DATA = 4
    CREDIT = 5
    """So much more may be sent on this stream."""
    CLOSE = 6
    """The last frame of a stream in this direction, with an error when it failed."""
    PING = 7
    PONG = 8


@dataclass(frozen=True, slots=True)
class Frame:
    kind: Kind
    stream: int = 0
    data: bytes = b""

    def body(self) -> dict[str, Any]:
        """Its JSON object; nothing is an empty one. Raises: Invalid."""
        try:
            value = json.loads(self.data) if self.data else {}
        except ValueError as error:
            raise errors.Invalid(f"A frame {self.kind.name} has no JSON in it: {error}") from error
        if not isinstance(value, dict):
            raise errors.Invalid(f"A frame {self.kind.name} has no JSON object in it.")
        return value

    def credit(self) -> int:
        """Raises: Invalid."""
        if len(self.data) != _CREDIT.size:
            raise errors.Invalid(f"A frame CREDIT has {len(self.data)} bytes instead of {_CREDIT.size}.")
        return int(_CREDIT.unpack(self.data)[0])


def encode(frame: Frame) -> bytes:
    return _HEADER.pack(frame.kind, frame.stream) + frame.data


def decode(message: bytes) -> Frame:
    """Raises: Invalid (not a frame, or a larger one than is allowed)."""
    if len(message) < _HEADER.size:
        raise errors.Invalid(f"A message of {len(message)} bytes is no frame.")
    number, stream = _HEADER.unpack_from(message)
    if number not in Kind.__members__.values():
        raise errors.Invalid(f"There is no frame of kind {number}.")
    frame = Frame(Kind(number), stream, message[_HEADER.size :])
    largest = LARGEST if frame.kind is Kind.DATA else _LARGEST_BODY
    if len(frame.data) > largest:
        raise errors.Invalid(f"A frame {frame.kind.name} has {len(frame.data)} bytes; {largest} are allowed.")
    return frame


def json_frame(kind: Kind, stream: int, body: Mapping[str, Any]) -> Frame:
    return Frame(kind, stream, json.dumps(body, ensure_ascii=False).encode() if body else b"")


def credit_frame(stream: int, count: int) -> Frame:
    return Frame(Kind.CREDIT, stream, _CREDIT.pack(count))
