"""The one gRPC call that a health check needs, written out as HTTP/2 frames. Pure.

Source: RFC 9113 (frames), RFC 7541 6.2.2 (literal header fields), gRPC health checking protocol, `grpc.health.v1`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS, _PADDED = 1, 4, 8
_SERVING = b"\x08\x01"
_STREAM = 1


def request(authority: str, service: str = "") -> bytes:
    """Everything a client sends to ask `service` (empty: the whole server) for its health."""
    headers = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/grpc.health.v1.Health/Check"),
        (b":authority", authority.encode()),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ]
    name = service.encode()[:100]
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, _STREAM, b"".join(_literal(*header) for header in headers))
        + _frame(_DATA, _END_STREAM, _STREAM, b"\0" + struct.pack(">I", len(message)) + message)
    )


ACKNOWLEDGED = b"\0\0\0\x04\x01\0\0\0\0"
"""The answer to the server's SETTINGS."""


def verdict(received: bytes) -> bool | None:
    """True when the server said SERVING, False when it said anything else, None while it has not said enough."""
    body = b""
    for kind, flags, stream, payload in _frames(received):
        if kind in (_GOAWAY, _RST_STREAM):
            return False
        if stream != _STREAM:
            continue
        if kind == _DATA:
            body += payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
        if len(body) >= 5 and len(body) >= 5 + int.from_bytes(body[1:5], "big"):
            return body[5:] == _SERVING
        if flags & _END_STREAM and kind in (_DATA, _HEADERS):
            return False
    return None


def _frames(received: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of every frame that is there whole."""
    at = 0
    while at + 9 <= len(received):
        size = int.from_bytes(received[at : at + 3], "big")
        end = at + 9 + size
        if end > len(received):
            return
        stream = int.from_bytes(received[at + 5 : at + 9], "big") & 0x7FFFFFFF
        yield received[at + 3], received[at + 4], stream, received[at + 9 : end]
        at = end


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """A header field without indexing, name and value as they are (each below 127 bytes)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
