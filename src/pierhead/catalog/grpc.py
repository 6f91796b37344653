"""The gRPC health question, over HTTP/2: is this service serving? Source: grpc.health.v1, Health/Check."""

from __future__ import annotations

import asyncio
import ssl

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from pierhead.catalog.records import CRITICAL, PASSING

_PATH = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"
"""Field 1, an enumeration: 1 is SERVING."""


async def ask(target: str, tls: ssl.SSLContext | None) -> tuple[str, str]:
    """The status of `host:port` or `host:port/service`, and what was said. Raises: OSError, ValueError."""
    address, _, service = target.partition("/")
    host, _, port = address.rpartition(":")
    if tls:
        tls.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=tls)
    try:
        answer = await _exchange(reader, writer, address, service, "https" if tls else "http")
    except ProtocolError as error:
        return CRITICAL, f"gRPC health check {target}: {error}"
    finally:
        writer.close()
    if answer.message[5:] == _SERVING:
        return PASSING, f"gRPC check {target}: success"
    return CRITICAL, f"gRPC check {target}: {answer.reason()}"


class _Answer:
    """What has come back so far."""

    def __init__(self) -> None:
        self.message = b""
        self.headers: dict[bytes, bytes] = {}
        self.is_complete = False

    def take(self, event: Event, connection: H2Connection) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            self.headers |= {bytes(name): bytes(value) for name, value in event.headers or ()}
        elif isinstance(event, DataReceived):
            self.message += event.data or b""
            connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, StreamEnded | StreamReset | ConnectionTerminated):
            self.is_complete = True

    def reason(self) -> str:
        status = self.headers.get(b"grpc-status", b"").decode()
        message = self.headers.get(b"grpc-message", b"").decode(errors="replace")
        return f"status {status}: {message}" if status not in ("", "0") else "not serving"


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, service: str, scheme: str
) -> _Answer:
    connection = H2Connection(H2Configuration(client_side=True))
    connection.initiate_connection()
    headers = {":method": "POST", ":scheme": scheme, ":path": _PATH, ":authority": authority}
    headers |= {"content-type": "application/grpc", "te": "trailers"}
    connection.send_headers(1, list(headers.items()))
    connection.send_data(1, _question(service), end_stream=True)
    answer = _Answer()
    while not answer.is_complete:
        writer.write(connection.data_to_send())
        data = await reader.read(65536)
        if not data:
            break
        for event in connection.receive_data(data):
            answer.take(event, connection)
    return answer


def _question(service: str) -> bytes:
    """A HealthCheckRequest in a gRPC frame: not compressed, its length, field 1 with the service's name."""
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message
