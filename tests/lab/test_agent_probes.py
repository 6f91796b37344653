"""What each kind of probe says of a real server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.lab.agent_lab import until

from pierhead.agent import grpc, lines, probes
from pierhead.agent.endpoint import Endpoint, Kind, Probe
from pierhead.agent.probes import Means
from pierhead.kit import clock
from pierhead.testing.ports import free_port
from pierhead.wire.docker.client import Engine

pytestmark = pytest.mark.timeout(30)

ENGINE = Engine("unix:///nowhere")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def served(serve: Serve, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    open_ = 0

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_
        open_ += 1
        with contextlib.suppress(OSError, EOFError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        open_ -= 1

    async def is_over() -> bool:
        return open_ == 0

    server = await asyncio.start_server(closing, host, ssl=tls)
    async with server:
        yield Endpoint("e", "s", host, server.sockets[0].getsockname()[1], "80/tcp")
        await until(is_over, what="every connection is closed")


async def asked(endpoint: Endpoint, kind: Kind, **changes: object) -> tuple[bool, str]:
    probe = Probe(kind, timeout=timedelta(milliseconds=300), **changes)  # type: ignore[arg-type]
    with lines.opened() as opened:
        answer = await probes.ask(Means(ENGINE, opened), endpoint, probe)
    return answer.passed, answer.output


def says(text: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()

    return serve


async def closes(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    return


async def is_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


@pytest.mark.parametrize(
    ("text", "passed", "words"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, "200 OK"),
        (b"HTTP/1.0 302 Found\r\n\r\n", True, "302"),
        (b"HTTP/1.1 204\r\n\r\n", True, "204"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False, "404 Not Found"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n" + b"x" * 100_000, False, "503"),
        (b"SSH-2.0-OpenSSH\r\n", False, "no HTTP answer: 'SSH-2.0-OpenSSH'"),
        (b"x" * 100_000, False, "no HTTP answer"),
        (b"", False, "closed without an answer"),
    ],
)
async def test_http(text: bytes, passed: bool, words: str) -> None:
    async with served(says(text)) as endpoint:
        found = await asked(endpoint, Kind.HTTP, path="/up")
    assert found[0] is passed
    assert words in found[1]


async def test_http_asks_as_it_was_told() -> None:
    heard = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    async with served(serve) as endpoint:
        assert (await asked(endpoint, Kind.HTTP, path="up", method="HEAD"))[0]
        assert heard.startswith(f"HEAD /up HTTP/1.1\r\nHost: 127.0.0.1:{endpoint.port}\r\n".encode())


async def test_an_ipv6_address_is_asked_too() -> None:
    async with served(says(b"HTTP/1.1 200 OK\r\n\r\n"), "::1") as endpoint:
        assert await asked(endpoint, Kind.HTTP) == (True, f"http [::1]:{endpoint.port}/: 200 OK")


@pytest.mark.parametrize("kind", [Kind.HTTP, Kind.HTTPS, Kind.GRPC])
async def test_who_does_not_answer_in_time_fails(kind: Kind) -> None:
    async with served(is_silent) as endpoint:
        found = await asked(endpoint, kind)
    assert found[0] is False
    assert "no answer in 0.3 s" in found[1]


@pytest.mark.parametrize("kind", [Kind.HTTP, Kind.HTTPS, Kind.GRPC, Kind.TCP])
async def test_where_nobody_listens_it_fails(kind: Kind) -> None:
    found = await asked(Endpoint("e", "s", "127.0.0.1", free_port(), "80/tcp"), kind)
    assert found[0] is False


async def test_tcp_passes_where_somebody_listens() -> None:
    async with served(is_silent) as endpoint:
        assert (await asked(endpoint, Kind.TCP))[0]


async def test_tcp_sees_a_proxy_that_has_nobody_behind_it() -> None:
    async with served(closes) as endpoint:
        assert (await asked(endpoint, Kind.TCP))[0] is False


async def answers_grpc(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: bytes) -> None:
    await reader.readexactly(len(grpc.request(f"127.0.0.1:{writer.get_extra_info('sockname')[1]}")))
    body = b"\0" + len(state).to_bytes(4, "big") + state
    writer.write(b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\x01\x01\x04\0\0\0\x01\x88")
    writer.write(len(body).to_bytes(3, "big") + b"\0\0\0\0\0\x01" + body)
    await writer.drain()


@pytest.mark.parametrize(("state", "passed"), [(b"\x08\x01", True), (b"\x08\x02", False)])
async def test_grpc(state: bytes, passed: bool) -> None:
    async with served(lambda reader, writer: answers_grpc(reader, writer, state)) as endpoint:
        assert (await asked(endpoint, Kind.GRPC))[0] is passed


async def test_over_tls_an_address_is_asked_whatever_name_the_certificate_has(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate(tmp_path / "some.pem"))
    tls.set_alpn_protocols(["h2"])
    async with served(says(b"HTTP/1.1 200 OK\r\n\r\n"), tls=tls) as endpoint:
        assert await asked(endpoint, Kind.HTTPS) == (True, f"https 127.0.0.1:{endpoint.port}/: 200 OK")
    async with served(lambda reader, writer: answers_grpc(reader, writer, b"\x08\x01"), tls=tls) as endpoint:
        assert (await asked(endpoint, Kind.GRPCS))[0]
        assert not (await asked(endpoint, Kind.GRPC))[0]


def certificate(path: Path) -> Path:
    """A key and a certificate for a name that nobody asks for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + made.public_bytes(serialization.Encoding.PEM))
    return path
