"""What one request takes of HAProxy, in instructions: the gateway beside the configurations by hand of `gateway.py`.

    uv run python bench/instructions.py [--requests 1000]

Counted by callgrind (`valgrind` from Debian), so that it is the same on a machine with other work, to a few in a
hundred thousand. One thread, 8 connections that are kept alive, as `curl` asks and as a browser does. What the kernel
does is not in it: that is about two thirds of a request, and the same for all of them. So a tenth fewer instructions
are about three hundredths more requests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from gateway import APP, BY_HAND, HOST, answers, ours, started

from pierhead.testing import ports

CONNECTIONS = 8
WARM = 200
"""Requests before those that are counted: everything is allocated then."""
_TUNABLES = "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000"
"""Or else valgrind counts a copy of 16 KiB by the instruction `rep movsb` as one instruction a byte."""
_PLAIN = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n"
_BROWSER = """\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Accept-Language: en-US,en;q=0.5
Accept-Encoding: gzip, deflate, br, zstd
Connection: keep-alive
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark
Upgrade-Insecure-Requests: 1
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: none
Priority: u=0, i
""".replace("\n", "\r\n")
REQUESTS = {"plain": f"{_PLAIN}\r\n".encode(), "as a browser": f"{_PLAIN}{_BROWSER}\r\n".encode()}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    count = parser.parse_args().requests
    folder = Path(tempfile.mkdtemp(prefix="pier-instructions-"))
    (app,) = ports.free(1)
    (folder / "app.cfg").write_text(APP.format(app=app))
    async with contextlib.AsyncExitStack() as scope:
        await started(scope, "haproxy", "-db", "-f", str(folder / "app.cfg"))
        texts = {"pierhead": await drawn(scope, folder, app)} | BY_HAND
        found = {name: await costs(folder, text.replace("{app}", str(app)), count) for name, text in texts.items()}
    show(found)


async def drawn(scope: contextlib.AsyncExitStack, folder: Path, app: int) -> str:
    """The configuration of a gateway that runs, with a port and sockets to be put in, as those by hand have them."""
    (port,) = ports.free(1)
    await ours(scope, folder, port, app)
    text = (folder / "gw" / "haproxy" / "haproxy.cfg").read_text()
    return text.replace(str(folder / "gw" / "run"), str(folder)).replace(f":{port}\n", ":{port}\n")


async def costs(folder: Path, text: str, count: int) -> dict[str, float]:
    """Instructions for one request of each kind."""
    found = {}
    for kind, request in REQUESTS.items():
        few, many = [await total(folder, text, request, WARM + more) for more in (0, count)]
        found[kind] = (many - few) / count
    return found


async def total(folder: Path, text: str, request: bytes, count: int) -> int:
    """All instructions of a HAProxy that served so many requests."""
    (port,) = ports.free(1)
    file = folder / "counted.cfg"
    one_thread = text.replace("global\n", "global\n  nbthread 1\n", 1)
    file.write_text(one_thread.replace("{port}", str(port)).replace("{{", "{").replace("}}", "}"))
    counted = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "haproxy", "-db", "-f", str(file))
    process = await asyncio.create_subprocess_exec("env", _TUNABLES, *counted, stderr=asyncio.subprocess.PIPE)
    await answers("HAProxy in valgrind", port)
    await asyncio.to_thread(load, port, request, count)
    process.terminate()
    said = (await process.communicate())[1].decode()
    seen = re.search(r"Collected\s*:\s*(\d+)", said)
    if not seen:
        raise SystemExit(f"valgrind counted nothing:\n{said}")
    return int(seen[1])


def load(port: int, request: bytes, count: int) -> None:
    lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    for number in range(count):
        line = lines[number % CONNECTIONS]
        line.sendall(request)
        heard = line.recv(1 << 14)
        assert heard.endswith(b"hello"), heard
    for line in lines:
        line.close()
    time.sleep(0.1)  # so that it has seen the ends


def show(found: Mapping[str, Mapping[str, float]]) -> None:
    print(f"{'instructions for a request':<28}" + "".join(f"{kind:>14} {'ours / it':>10}" for kind in REQUESTS))
    mine = found["pierhead"]
    for name, costs in found.items():
        print(f"{name:<28}" + "".join(f"{costs[kind]:>14,.0f} {mine[kind] / costs[kind]:>10.3f}" for kind in REQUESTS))


if __name__ == "__main__":
    asyncio.run(main())
