"""The command line's client, against servers that do what servers do to connections."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from pierhead import client
from pierhead.client import http
from pierhead.client.http import NoAnswer, Request
from pierhead.kit import errors
from pierhead.testing.authority import Authority
from pierhead.testing.ports import free_port

HEAVY = {
    *("aiohttp", "alembic", "bcrypt", "cryptography", "dns", "fastapi", "h2", "lark", "pydantic", "re2", "rich"),
    *(
        "sqlalchemy",
        "starlette",
        "uvicorn",
        "websockets",
        "yaml",
        "pierhead.boot",
        "pierhead.control",
        "pierhead.store",
    ),
}
"""What takes longer to load than a command that only asks the server may take."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(handle: Handler, secure: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Its address. Every connection is handled alike, and closed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        finally:
            writer.close()

    found = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=secure)
    async with found:
        yield f"http{'s' if secure else ''}://127.0.0.1:{found.sockets[0].getsockname()[1]}"


def saying(answer: bytes, heard: list[bytes] | None = None) -> Handler:
    """Reads the head of a request, says `answer` in small pieces, and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(head)
        for place in range(0, len(answer), 7):
            writer.write(answer[place : place + 7])
            await writer.drain()

    return handle


def document(status: str, body: object) -> bytes:
    text = json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


def chunked(*pieces: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in (*pieces, b""))


async def test_an_answer_is_read_and_what_was_asked_is_escaped() -> None:
    heard: list[bytes] = []
    async with server(saying(document("200 OK", {"a": "ä"}), heard)) as url, client.connected(url, "t0ken") as api:
        assert await api.get("/apps/a b/ü?x", name="a&b") == {"a": "ä"}
    head = heard[0].decode()
    assert head.startswith("GET /v1/apps/a%20b/%C3%BC%3Fx?name=a%26b HTTP/1.1\r\n")
    assert "authorization: bearer t0ken" in head.lower()


async def test_nothing_is_none_and_an_error_is_what_the_server_means() -> None:
    refused = {"error": errors.document(errors.Conflict("Held.", hint="Wait."))}
    async with server(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) as url, client.connected(url, "") as api:
        assert await api.delete("/apps/a") is None
    async with server(saying(document("409 Conflict", refused))) as url, client.connected(url, "") as api:
        with pytest.raises(errors.Conflict, match="Held") as found:
            await api.post("/apps/a")
        assert found.value.hint == "Wait."


async def test_events_are_whole_however_they_are_cut() -> None:
    stream = chunked(b'id: 7\nevent: line\ndata: {"a": ', b"1}\n\n", b": still there\n\nevent: end\nda", b"ta: {}\n\n")
    async with server(saying(stream)) as url, client.connected(url, "") as api:
        events = [event async for event in api.events("/x")]
    assert events == [{"id": "7", "kind": "line", "data": {"a": 1}}, {"kind": "end", "data": {}}]


async def test_who_refuses_before_all_is_sent_is_heard(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(32 << 20))
    refused = {"error": errors.document(errors.Invalid("Too large."))}
    over = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(document("413 Content Too Large", refused))(reader, writer)
        await over.wait()

    async with server(refuse) as url, client.connected(url, "") as api:
        with pytest.raises(errors.Invalid, match="Too large"):
            await api.upload("/uploads", large)
        over.set()


async def test_a_file_is_sent_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 4096)

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(file.stat().st_size)
        writer.write(document("200 OK", body == file.read_bytes()))
        await writer.drain()

    async with server(count) as url, client.connected(url, "") as api:
        assert await api.upload("/uploads", file) is True


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        chunked(b"{}")[:-5],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    ],
    ids=["nothing", "too little", "broken off", "no HTTP", "a page"],
)
async def test_who_answers_nothing_of_use_is_unavailable(answer: bytes) -> None:
    async with server(saying(answer)) as url, client.connected(url, "") as api:
        with pytest.raises(errors.Unavailable, match="No Pierhead answers at"):
            await api.get("/apps")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{}", "http://no.such.host.invalid:{}", "ftp://a:{}", "http://a:99{}"]
)
async def test_who_is_not_there_is_unavailable(url: str) -> None:
    async with client.connected(url.format(free_port()), "") as api:
        with pytest.raises(errors.Unavailable):
            await api.get("/apps")


async def test_a_server_that_moved_says_where_to() -> None:
    moved = b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://pier.example/v1/apps\r\nContent-Length: 0\r\n\r\n"
    async with server(saying(moved)) as url, client.connected(url, "") as api:
        with pytest.raises(errors.Invalid, match=r"https://pier\.example"):
            await api.get("/apps")


async def test_silence_has_an_end() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(silent) as url:
        with pytest.raises(NoAnswer, match="in time"):
            async with http.ask(url, Request("GET", "/", silence=timedelta(seconds=0.05))):
                pass


async def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Authority()
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secure.load_cert_chain(*made.make("127.0.0.1").write(tmp_path, "server"))
    async with server(saying(document("200 OK", [])), secure) as url, client.connected(url, "") as api:
        with pytest.raises(errors.Unavailable, match="certificate"):
            await api.get("/apps")
        monkeypatch.setenv("SSL_CERT_FILE", str(made.write(tmp_path)))
        assert await api.get("/apps") == []


APP = {"app": "notes", "environment": "dev", "release": "v1", "commit": "0" * 40, "subject": "Say 你好", "replicas": 1}
PLACE = {**APP, "urls": ["http://notes.localhost"], "moving": None}
INSTANCE = {**APP, "id": "c" * 64, "node": "a", "addresses": ["10.0.0.1:80"], "state": "healthy", "reason": ""}
ANSWERS = {"/v1/environments": [PLACE], "/v1/instances": [INSTANCE], "/v1/apps/notes/releases": []}


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    path = head.split()[1].partition("?")[0]
    nothing = {"error": errors.document(errors.NotFound("There is no such thing."))}
    found = ANSWERS.get(path)
    writer.write(document("404 Not Found", nothing) if found is None else document("200 OK", found))
    await writer.drain()


@pytest.mark.parametrize(
    "words", [("--help",), ("ps",), ("deploy", "."), ("releases", "notes"), ("logs", "notes")], ids=" ".join
)
async def test_a_command_that_asks_the_server_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    """Python loading libraries was most of what `pier` took."""
    program = (
        "import atexit, json, sys; from pierhead.cli import main;"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr)); main.main()"
    )
    async with server(answering) as url:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PIER_")}
        ran = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, *words),
            env=environment | {"PIER_URL": url, "PIER_TOKEN": "t"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, told = await ran.communicate()
    loaded = set(json.loads(told.splitlines()[-1]))
    assert "pierhead.cli.main" in loaded
    assert loaded & HEAVY == set()
    assert (b"notes" in said) is (words == ("ps",)), said
