"""One question to one endpoint, from the host's side. An answer, whatever goes wrong; never an exception."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pierhead.agent import grpc
from pierhead.agent.endpoint import Endpoint, Kind, Probe
from pierhead.agent.health import Answer
from pierhead.kit import errors
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
    async with _connection(endpoint, is_tls=probe.kind is Kind.HTTPS) as (reader, writer):
        if probe.kind is Kind.GRPC:
            passed, said = await _grpc(endpoint, reader, writer)
        elif probe.kind is Kind.TCP:
            passed, said = await _tcp(reader)
        else:
            passed, said = await _http(endpoint, probe, reader, writer)
    return Answer(passed, f"{_what(endpoint, probe)}: {said}")


async def _tcp(reader: asyncio.StreamReader) -> tuple[bool, str]:
    """Accepted, and not hung up on at once."""
    try:
        async with asyncio.timeout(_PROXY_PATIENCE_SECONDS):
            data = await reader.read(1)
    except TimeoutError:
        return True, "accepted"
    return (True, "accepted") if data else (False, "accepted and closed at once: nothing listens in the container")


async def _http(
    endpoint: Endpoint, probe: Probe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[bool, str]:
    path = probe.path if probe.path.startswith("/") else f"/{probe.path}"
    head = (
        f"{probe.method} {path} HTTP/1.1\r\nHost: {_host(endpoint)}\r\nUser-Agent: pierhead-agent\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode())
    await writer.drain()
    line = (await reader.readline()).decode("latin-1", errors="replace").strip()
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
    output = b""
    async with exec.started(engine, endpoint.meta[Meta.INSTANCE], probe.command, tty=False) as session:
        session.end_input()
        while frame := await session.read():
            output = (output + frame.data)[-_OUTPUT_LIMIT:]
        code = await session.exit_code()
    return Answer(code == 0, f"exit code {code}", output.decode(errors="replace").strip())


@asynccontextmanager
async def _connection(
    endpoint: Endpoint, *, is_tls: bool
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    tls = _unverified() if is_tls else None
    reader, writer = await asyncio.open_connection(endpoint.address, endpoint.port, ssl=tls, limit=_HEAD_LIMIT)
    try:
        yield reader, writer
    finally:
        with contextlib.suppress(OSError):
            writer.transport.abort()


def _unverified() -> ssl.SSLContext:
    """A health check asks an address, for which certificates are not made out."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
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
