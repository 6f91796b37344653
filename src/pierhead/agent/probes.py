"""One question to one endpoint, from the host's side. An answer, whatever goes wrong; never an exception."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pierhead.agent import commands, grpc
from pierhead.agent.endpoint import Endpoint, Kind, Probe
from pierhead.agent.health import Answer
from pierhead.kit import errors
from pierhead.model.host import is_host
from pierhead.model.instance import Meta
from pierhead.wire.docker import exec
from pierhead.wire.docker.client import Engine

_PROXY_PATIENCE_SECONDS = 0.03
"""The engine's own proxy accepts for a container that does not listen yet, and hangs up at once."""
_HEAD_LIMIT = 4096
_CHUNK = 1 << 14
_OUTPUT_LIMIT = 500


async def ask(engine: Engine, endpoint: Endpoint, probe: Probe) -> Answer:
    """Whether the endpoint can serve now, and how that was seen."""
    try:
        async with asyncio.timeout(probe.timeout.total_seconds()):
            return await _ask(engine, endpoint, probe)
    except TimeoutError:
        return Answer(
            passed=False, reason=f"{_what(endpoint, probe)}: no answer in {probe.timeout.total_seconds():g} s"
        )
    except (OSError, EOFError, ValueError, errors.PierError) as error:
        return Answer(passed=False, reason=f"{_what(endpoint, probe)}: {_reason(error)}")


async def _ask(engine: Engine, endpoint: Endpoint, probe: Probe) -> Answer:
    if probe.kind is Kind.COMMAND:
        return await _command(engine, endpoint, probe)
    if probe.kind is Kind.TCP:
        passed, said = await _tcp(endpoint)
    elif probe.kind is Kind.HTTP:
        passed, said = await _http(endpoint, probe)
    else:
        passed, said = await _streamed(endpoint, probe)
    return Answer(passed, f"{_what(endpoint, probe)}: {said}")


async def _tcp(endpoint: Endpoint) -> tuple[bool, str]:
    """Accepted, and not hung up on at once."""
    async with _connected(endpoint) as opened:
        data = await _soon(opened)
    return (
        (False, "accepted and closed at once: nothing listens in the container") if data == b"" else (True, "accepted")
    )


async def _http(endpoint: Endpoint, probe: Probe) -> tuple[bool, str]:
    """Without asyncio's streams, which cost more: this is what the agent does most."""
    running = asyncio.get_running_loop()
    async with _connected(endpoint) as opened:
        await running.sock_sendall(opened, _request(endpoint, probe))
        received = b""
        while b"\n" not in received and len(received) < _HEAD_LIMIT:
            data = await running.sock_recv(opened, _CHUNK)
            if not data:
                return _verdict(received)
            received += data
        await _soon(opened)  # the app may finish its answer and close first
    return _verdict(received)


async def _streamed(endpoint: Endpoint, probe: Probe) -> tuple[bool, str]:
    async with _connection(endpoint, _tls(probe.kind)) as (reader, writer):
        if probe.kind in (Kind.GRPC, Kind.GRPCS):
            return await _grpc(endpoint, reader, writer)
        writer.write(_request(endpoint, probe))
        await writer.drain()
        return _verdict(await reader.readline())


def _request(endpoint: Endpoint, probe: Probe) -> bytes:
    path = probe.path if probe.path.startswith("/") else f"/{probe.path}"
    head = (
        f"{probe.method} {path} HTTP/1.1\r\nHost: {_host(endpoint)}\r\nUser-Agent: pierhead-agent\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    )
    return head.encode()


def _verdict(received: bytes) -> tuple[bool, str]:
    """What the first line of an HTTP answer says: 2xx and 3xx pass."""
    line = received.partition(b"\n")[0].decode("latin-1").strip()
    version, _, rest = line.partition(" ")
    code = rest.partition(" ")[0]
    if not version.startswith("HTTP/") or not code.isdecimal():
        return False, f"no HTTP answer: {line[:80]!r}" if line else "closed without an answer"
    return 200 <= int(code) < 400, rest


async def _grpc(endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[bool, str]:
    writer.write(grpc.request(_host(endpoint)) + grpc.ACKNOWLEDGED)
    await writer.drain()
    received = b""
    while (said := grpc.verdict(received)) is None:
        data = await reader.read(_CHUNK)
        if not data or len(received) > 1 << 20:
            return False, "no gRPC answer"
        received += data
    return said, "serving" if said else "not serving"


async def _command(engine: Engine, endpoint: Endpoint, probe: Probe) -> Answer:
    is_here = is_host(endpoint.meta[Meta.INSTANCE])
    code, output = (
        await commands.run(probe.command) if is_here else await _command_in_container(engine, endpoint, probe)
    )
    return Answer(code == 0, f"exit code {code}", output.decode(errors="replace").strip())


async def _command_in_container(engine: Engine, endpoint: Endpoint, probe: Probe) -> tuple[int | None, bytes]:
    output = b""
    async with exec.started(engine, endpoint.meta[Meta.INSTANCE], probe.command, tty=False) as session:
        session.end_input()
        while frame := await session.read():
            output = (output + frame.data)[-_OUTPUT_LIMIT:]
        return await session.exit_code(), output


@asynccontextmanager
async def _connected(endpoint: Endpoint) -> AsyncIterator[socket.socket]:
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as opened:
        await asyncio.get_running_loop().sock_connect(opened, (endpoint.address, endpoint.port))
        yield opened


async def _soon(opened: socket.socket) -> bytes | None:
    """What comes within a moment: empty when the other side has closed, None when nothing does."""
    try:
        async with asyncio.timeout(_PROXY_PATIENCE_SECONDS):
            return await asyncio.get_running_loop().sock_recv(opened, _CHUNK)
    except TimeoutError:
        return None


@asynccontextmanager
async def _connection(
    endpoint: Endpoint, tls: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(endpoint.address, endpoint.port, ssl=tls, limit=_HEAD_LIMIT)
    try:
        yield reader, writer
    finally:
        with contextlib.suppress(OSError):
            writer.transport.abort()


def _tls(kind: Kind) -> ssl.SSLContext | None:
    """A health check asks an address, for which certificates are not made out."""
    if kind not in (Kind.HTTPS, Kind.GRPCS):
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if kind is Kind.GRPCS:
        context.set_alpn_protocols(["h2"])
    return context


def _host(endpoint: Endpoint) -> str:
    return f"[{endpoint.address}]:{endpoint.port}" if ":" in endpoint.address else f"{endpoint.address}:{endpoint.port}"


def _what(endpoint: Endpoint, probe: Probe) -> str:
    if probe.kind is Kind.COMMAND:
        return "command"
    path = probe.path if probe.kind in (Kind.HTTP, Kind.HTTPS) else ""
    return f"{probe.kind} {_host(endpoint)}{path}"


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) or type(error).__name__
