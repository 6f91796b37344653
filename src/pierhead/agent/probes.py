"""One question to one endpoint, from the host's side. An answer, whatever goes wrong; never an exception."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from pierhead.agent import commands, grpc
from pierhead.agent.endpoint import Endpoint, Kind, Probe
from pierhead.agent.health import Answer
from pierhead.agent.lines import Lines, Question
from pierhead.kit import errors
from pierhead.model.instance import Meta, is_host
from pierhead.wire.docker import exec
from pierhead.wire.docker.client import Engine

_PROXY_PATIENCE = timedelta(milliseconds=30)
"""The engine's own proxy accepts for a container that does not listen yet, and hangs up at once."""
_HEAD_LIMIT = 4096
_CHUNK = 1 << 14
_OUTPUT_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Means:
    """What endpoints are asked with."""

    engine: Engine
    lines: Lines


async def ask(means: Means, endpoint: Endpoint, probe: Probe) -> Answer:
    """Whether the endpoint can serve now, and how that was seen."""
    try:
        async with asyncio.timeout(probe.timeout.total_seconds()):
            return await _ask(means, endpoint, probe)
    except TimeoutError:
        return Answer(
            passed=False, reason=f"{_what(endpoint, probe)}: no answer in {probe.timeout.total_seconds():g} s"
        )
    except (OSError, EOFError, ValueError, errors.PierError) as error:
        return Answer(passed=False, reason=f"{_what(endpoint, probe)}: {_reason(error)}")


async def _ask(means: Means, endpoint: Endpoint, probe: Probe) -> Answer:
    if probe.kind is Kind.COMMAND:
        return await _command(means.engine, endpoint, probe)
    if probe.kind is Kind.TCP:
        passed, said = await _tcp(means.lines, endpoint)
    elif probe.kind is Kind.HTTP:
        passed, said = await _http(means.lines, endpoint, probe)
    else:
        passed, said = await _streamed(endpoint, probe)
    return Answer(passed, f"{_what(endpoint, probe)}: {said}")


async def _tcp(lines: Lines, endpoint: Endpoint) -> tuple[bool, str]:
    """Accepted, and not hung up on at once."""
    heard = await lines.ask(Question(endpoint.address, endpoint.port, b"", _always, _PROXY_PATIENCE))
    if heard.is_closed and not heard.data:
        return False, "accepted and closed at once: nothing listens in the container"
    return True, "accepted"


async def _http(lines: Lines, endpoint: Endpoint, probe: Probe) -> tuple[bool, str]:
    """The app may finish its answer and close first."""
    request = _request(endpoint, probe)
    heard = await lines.ask(Question(endpoint.address, endpoint.port, request, _has_verdict, _PROXY_PATIENCE))
    return _verdict(heard.data)


def _always(received: bytes) -> bool:
    return True


def _has_verdict(received: bytes) -> bool:
    return b"\n" in received or len(received) >= _HEAD_LIMIT


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
