"""One JSON object a request in the access log, whatever a client sends; and nobody waits for it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.lab.gateway_lab import Lab, lab, until

LIMIT_BYTES = 100_000
HOSTILE = b'/a"b\\c{"x":1}%0a%22'


async def _send(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


def _logged(file: Path) -> list[dict[str, Any]]:
    """Every whole line, those of before the rotation included."""
    texts = [one.read_bytes() for one in (_older(file), file) if one.exists()]
    return [json.loads(line) for text in texts for line in text.split(b"\n")[:-1]]


def _older(file: Path) -> Path:
    return file.with_name(f"{file.name}.1")


async def test_every_request_is_a_line_of_json_and_none_waits_for_it(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "access.log"
    async with lab(tmp_path, access_log=file, access_log_bytes=LIMIT_BYTES) as gateway:
        await gateway.start()
        backend = await gateway.backend("one")
        await gateway.register("notes-dev", backend, release="v7", route="notes.test/")
        await until(lambda: gateway.answers("notes.test", 200))
        await _is_told(gateway, file)
        await _is_json_whatever_is_sent(gateway, file)
        await _is_rotated(gateway, file)
        told = (await gateway.status())["access_log"]
        assert (told["file"], told["dropped"], told["error"]) == (str(file), 0, "")
        await _does_without_the_disk(gateway, file)

        await gateway.stop()  # HAProxy goes on; nobody reads the socket, and then there is none
        for _ in range(50):
            assert await gateway.answers("notes.test", 200)
        await gateway.start()
        await until(lambda: _is_logged_again(gateway, file))


async def _has(file: Path, path: str) -> bool:
    return any(one["path"] == path for one in _logged(file))


async def _is_logged_again(gateway: Lab, file: Path) -> bool:
    """The socket is there some time after the controller: until then nobody takes what HAProxy tells."""
    await gateway.get("notes.test", "/again")
    return await _has(file, "/again")


async def _is_told(gateway: Lab, file: Path) -> None:
    url = f"http://127.0.0.1:{gateway.options.http_port}/x?secret=1"
    headers = {"Host": "notes.test", "X-Request-ID": "r-1"}
    async with gateway.session.get(url, headers=headers) as response:
        assert response.status == 200
    await until(lambda: _has(file, "/x"))
    one = next(one for one in _logged(file) if one["path"] == "/x")
    wanted = {"host": "notes.test", "method": "GET", "status": 200, "client": "127.0.0.1", "request_id": "r-1"}
    wanted |= {"service": "notes-dev", "release": "v7", "instance": "one"}
    assert {key: one[key] for key in wanted} == wanted
    assert one["bytes_out"] > 0
    assert one["total_ms"] >= 0
    assert "secret" not in json.dumps(_logged(file))


async def _is_json_whatever_is_sent(gateway: Lab, file: Path) -> None:
    port = gateway.options.http_port
    rest = b'Connection: close\r\nX-Request-ID: "q\\\t\xff\xed\xa0\x80"\r\n\r\n'
    answers = [
        await _send(port, b"GET " + path + b' HTTP/1.1\r\nHost: no"tes\\.test\r\n' + rest)
        for path in (HOSTILE, b"/" + b'"' * 6000, b"/\xff\x01\n")
    ]
    assert [answer.split()[1] for answer in answers] == [b"404", b"404", b"400"]
    await _send(port, b"GARBAGE\r\n\r\n")
    await gateway.get("notes.test", "/after")
    await until(lambda: _has(file, "/after"))
    paths = [one["path"] for one in _logged(file)]
    assert HOSTILE.decode() in paths
    host, id_ = next((one["host"], one["request_id"]) for one in _logged(file) if one["path"] == HOSTILE.decode())
    assert host == 'no"tes\\.test'
    assert id_.startswith('"q\\\t')
    assert [one["status"] for one in _logged(file) if one["path"] == "-"] == [400, 400]
    assert "/" + '"' * 1023 in paths
    assert (await gateway.status())["access_log"]["dropped"] == 0


async def _is_rotated(gateway: Lab, file: Path) -> None:
    async def is_rotated() -> bool:
        await gateway.get("notes.test", "/fill")
        return _older(file).exists()

    await until(is_rotated, 60)
    assert file.stat().st_size < LIMIT_BYTES  # noqa: ASYNC240
    assert await _has(file, "/after")


async def _does_without_the_disk(gateway: Lab, file: Path) -> None:
    """The folder is none for a while: what comes meanwhile is counted, and what comes later is written."""
    away = file.parent.with_name("away")
    file.parent.rename(away)
    file.parent.touch()

    async def is_told() -> bool:
        told = (await gateway.status())["access_log"]
        return await gateway.answers("notes.test", 200) and told["dropped"] > 0 and bool(told["error"])

    await until(is_told)
    file.parent.unlink()
    away.rename(file.parent)
    await gateway.get("notes.test", "/later")
    await until(lambda: _has(file, "/later"))
    assert (await gateway.status())["access_log"]["error"] == ""
