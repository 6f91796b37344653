"""HTTP/2 and gRPC end to end, on the real HAProxy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from tests.lab.gateway_lab import Lab, lab, until

from pierhead.testing.authority import Authority
from pierhead.testing.ports import free_port

AUTHORITY = Authority()


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Lab]:
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "rpc.pem").write_text(AUTHORITY.make("rpc.test", "shop.test").pem)
    async with lab(tmp_path, https_port=free_port(), certificates=folder) as found:
        await found.start()
        yield found


class Speaker(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Says what it hears; counts; and refuses what it is told to."""

    def service(self, call: Any) -> Any:
        return {
            "/lab.Speaker/Say": grpc.unary_unary_rpc_method_handler(self._say),
            "/lab.Speaker/Count": grpc.unary_stream_rpc_method_handler(self._count),
            "/lab.Speaker/Chat": grpc.stream_stream_rpc_method_handler(self._chat),
        }.get(call.method)

    async def _say(self, said: bytes, context: Any) -> bytes:
        if said == b"refuse":
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as you wish")
        return said

    async def _count(self, said: bytes, _: Any) -> AsyncIterator[bytes]:
        for number in range(int(said)):
            yield str(number).encode()

    async def _chat(self, heard: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for said in heard:
            yield b"heard " + said


async def test_grpc_passes_with_its_streams_and_its_status_in_the_clear_and_over_tls(gateway: Lab) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Speaker(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    backend = await gateway.backend("rpc")
    backend.port = port
    await gateway.register("rpc", backend)
    await gateway.route("rpc", service="rpc", protocol="grpc", hosts=["rpc.test"])
    credentials = grpc.ssl_channel_credentials(root_certificates=AUTHORITY.pem.encode())
    name = [("grpc.default_authority", "rpc.test"), ("grpc.ssl_target_name_override", "rpc.test")]
    o = gateway.options
    try:
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{o.http_port}", options=name) as clear,
            grpc.aio.secure_channel(f"127.0.0.1:{o.https_port}", credentials, options=name) as secure,
        ):
            for channel in (clear, secure):
                await until(partial(_says, channel), what="gRPC answers")
                await _speaks(channel)
    finally:
        await server.stop(0)


async def _says(channel: Any) -> bool:
    with contextlib.suppress(grpc.aio.AioRpcError):
        return bool(await channel.unary_unary("/lab.Speaker/Say")(b"ahoy") == b"ahoy")
    return False


async def _speaks(channel: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/lab.Speaker/Say")(b"refuse")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "as you wish")
    assert [number async for number in channel.unary_stream("/lab.Speaker/Count")(b"1000")][-1] == b"999"
    chat = channel.stream_stream("/lab.Speaker/Chat")()
    for word in (b"one", b"two"):  # each answer comes before the next word is said
        await chat.write(word)
        assert await chat.read() == b"heard " + word
    await chat.done_writing()


async def test_http_2_is_spoken_to_who_can(gateway: Lab) -> None:
    await gateway.register("shop", await gateway.backend("one"))
    await gateway.route("shop", service="shop", hosts=["shop.test"])
    await until(lambda: gateway.answers("shop.test", 200))
    async with httpx.AsyncClient(http1=False, http2=True) as client:
        url = f"http://127.0.0.1:{gateway.options.http_port}/"
        answers = await _together([client.get(url, headers={"Host": "shop.test"}) for _ in range(20)])
        assert {(answer.status_code, answer.http_version) for answer in answers} == {(200, "HTTP/2")}


async def _together(asked: list[Any]) -> list[Any]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in asked]
    return [task.result() for task in tasks]
