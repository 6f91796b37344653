"""Checks that the server runs itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

from pierhead.wire.consul import agent, health, records
from pierhead.wire.consul.client import Consul

pytestmark = pytest.mark.asyncio(loop_scope="session")
SECOND = timedelta(seconds=1)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[int]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)  # type: ignore[arg-type]
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def answering(lines: list[str]) -> Talk:
    """Speaks HTTP; the first of `lines` is the status it answers with."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {lines[0]}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello".encode())
        writer.close()

    return talk


async def until(consul: Consul, name: str, status: str) -> records.Check:
    """The check of the only service of that name, once it has the status."""
    index, deadline = 0, monotonic() + 15
    while monotonic() < deadline:
        found, index = await health.checks(consul, name, index=index, wait=SECOND)
        if found and found[0].status == status:
            return found[0]
    raise AssertionError(f"{name} did not become {status}: {found}")


async def test_an_http_check_follows_what_its_target_answers(consul: Consul, name: str) -> None:
    lines = ["200 OK"]
    async with listening(answering(lines)) as port:
        check = agent.Check(http=f"http://127.0.0.1:{port}/health", interval=SECOND)
        await agent.register(consul, agent.Registration(name, checks=(check,)))
        assert "200 OK Output: hello" in (await until(consul, name, "passing")).output
        lines[0] = "429 Too Many Requests"
        await until(consul, name, "warning")
        lines[0] = "500 Broken"
        assert "500" in (await until(consul, name, "critical")).output
    await agent.deregister(consul, name)


async def test_a_tcp_check_follows_whether_its_target_listens(consul: Consul, name: str) -> None:
    async with listening(lambda _, writer: writer.close()) as port:
        check = agent.Check(tcp=f"127.0.0.1:{port}", interval=SECOND)
        await agent.register(consul, agent.Registration(name, checks=(check,)))
        await until(consul, name, "passing")
    await until(consul, name, "critical")
    await agent.deregister(consul, name)


async def test_a_grpc_check_follows_the_health_service(consul: Consul, name: str) -> None:
    serving = [1]
    async with listening(_grpc(serving)) as port:
        check = agent.Check(grpc=f"127.0.0.1:{port}/shop", interval=SECOND)
        await agent.register(consul, agent.Registration(name, checks=(check,)))
        await until(consul, name, "passing")
        serving[0] = 2
        await until(consul, name, "critical")
    await agent.deregister(consul, name)


async def test_an_alias_check_is_as_good_as_its_target(consul: Consul, name: str) -> None:
    check = agent.Check(ttl=timedelta(hours=1), status="passing")
    await agent.register(consul, agent.Registration(name, checks=(check,)))
    alias = agent.Check(alias_service=name)
    await agent.register(consul, agent.Registration(f"{name}-alias", checks=(alias,)))
    await until(consul, f"{name}-alias", "passing")
    await agent.update_check(consul, f"service:{name}", "critical", "it burns")
    assert "it burns" in (await until(consul, f"{name}-alias", "critical")).output
    await agent.deregister(consul, f"{name}-alias")
    await agent.deregister(consul, name)


def _grpc(serving: list[int]) -> Talk:
    """A gRPC server that answers every call with the health status in `serving`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    headers = [(":status", "200"), ("content-type", "application/grpc")]
                    connection.send_headers(event.stream_id or 0, headers)
                elif isinstance(event, StreamEnded):
                    message = bytes([0, 0, 0, 0, 2, 8, serving[0]])
                    connection.send_data(event.stream_id or 0, message)
                    connection.send_headers(event.stream_id or 0, [("grpc-status", "0")], end_stream=True)
            writer.write(connection.data_to_send())
        writer.close()

    return talk
