"""One JSON object a request in the access log, whatever a client sends; and nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.lab.gateway_lab import Lab, lab, until

from pierhead.gateway.syslog import Syslog

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
    return [*_lines(_older(file)), *_lines(file)]


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]] if file.exists() else []


def _older(file: Path) -> Path:
    return file.with_name(f"{file.name}.1")


async def test_every_request_is_a_line_of_json_and_none_waits_for_it(tmp_path: Path) -> None:
    file, log = tmp_path / "logs" / "access.log", str(tmp_path / "log")
    async with lab(tmp_path, access_log=file, access_log_bytes=LIMIT_BYTES, access_syslog=log) as gateway:
        async with told_at(log) as syslog:
            await gateway.start()
            backend = await gateway.backend("one")
            await gateway.register("notes-dev", backend, release="v7", route="notes.test/")
            await until(lambda: gateway.answers("notes.test", 200))
            await _is_told(gateway, file)
            await _is_json_whatever_is_sent(gateway, file)
            await _is_rotated(gateway, file)
            await _may_be_moved_away(gateway, file)
            told = (await gateway.status())["access_log"]
            assert (told["file"], told["syslog"], told["dropped"], told["error"]) == (str(file), log, 0, "")
            _is_in_syslog(syslog, file)
            await _does_without_the_disk(gateway, file)
        await _does_without_syslog(gateway, file, log)

        await gateway.stop()  # HAProxy goes on; nobody reads the socket, and then there is none
        for _ in range(50):
            assert await gateway.answers("notes.test", 200)
        await gateway.start()
        await until(lambda: _is_logged_again(gateway, file))


async def test_syslog_over_udp_is_rfc_5424() -> None:
    async with told_at("") as syslog:
        remote = Syslog(syslog[0], "gw1")
        assert await asyncio.to_thread(remote.write, ['{"path": "/a"}']) == (1, "")
        remote.close()
        await until(lambda: _has_come(syslog, 2))
        form = r"<134>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z gw1 pierhead-gateway \d+ access - (\{.*\})"
        said = re.fullmatch(form, syslog[1])
        assert said
        assert json.loads(said[1]) == {"path": "/a"}


@contextlib.asynccontextmanager
async def told_at(where: str) -> AsyncIterator[list[str]]:
    """What syslog is told at a socket of this machine; where none is named at a port, which comes first."""

    receiver = socket.socket(socket.AF_UNIX if where else socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(where or ("127.0.0.1", 0))
    found = [] if where else ["127.0.0.1:{1}".format(*receiver.getsockname())]

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _: object) -> None:
            found.append(data.decode())

    receiver.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Receiver, sock=receiver)
    try:
        yield found
    finally:
        transport.close()
        if where:
            os.unlink(where)


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


async def _may_be_moved_away(gateway: Lab, file: Path) -> None:
    """As logrotate does it: nobody is told, and no line is lost."""
    moved = file.with_name("moved")
    for number in range(100):
        await gateway.get("notes.test", f"/moving/{number}")
        if number == 50:
            os.rename(file, moved)
    await until(lambda: _has(file, "/moving/99"))
    paths = [one["path"] for name in (moved, file) for one in _logged(name)]
    assert [path for path in paths if path.startswith("/moving/")] == [f"/moving/{number}" for number in range(100)]


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


def _is_in_syslog(told: Sequence[str], file: Path) -> None:
    """The same objects as in the file, each behind the head that syslog(3) writes."""
    form = r"<134>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d pierhead-gateway\[\d+\]: (\{.*\})"
    found = [re.fullmatch(form, line) for line in told]
    said = [json.loads(one[1]) for one in found if one]
    assert len(said) == len(told)
    of_file = [one for name in (_older(file), file.with_name("moved"), file) for one in _lines(name)]
    assert said[-len(of_file) :] == of_file


async def _does_without_syslog(gateway: Lab, file: Path, log: str) -> None:
    """While nobody is there the file goes on and it is shown; once somebody is there again it is told again."""
    await gateway.get("notes.test", "/unheard")
    await until(lambda: _has(file, "/unheard"))

    async def says(text: str) -> bool:
        await gateway.get("notes.test", "/heard")
        error: str = (await gateway.status())["access_log"]["error"]
        return text in error if text else not error

    await until(lambda: says(f"{log}: No such file or directory"))
    async with told_at(log) as syslog:
        await until(lambda: says(""))
        await until(lambda: _has_come(syslog, 1))


async def _has_come(told: Sequence[str], count: int) -> bool:
    return len(told) >= count
