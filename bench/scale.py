"""What one change costs by the size of the estate: this gateway beside rendering everything and reloading HAProxy.

    uv run python bench/scale.py [--sizes 10,500,5000] [--rounds 20] [--real]

Each service has 20 endpoints. A change: one endpoint's check turns critical, or passing again, in the catalog; measured
from just before the write is sent until HAProxy itself shows the server's new state. The rival is what
consul-template does with the same configuration: all of it is written anew and HAProxy is reloaded. `--real`: with a
real Consul in place of the embedded catalog.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pierhead.gateway import follow, haproxy, layout, render
from pierhead.gateway.known import Known
from pierhead.gateway.options import Options
from pierhead.kit import errors
from pierhead.testing import consul as real
from pierhead.testing import ports
from pierhead.wire.consul import catalog
from pierhead.wire.consul.client import Consul
from pierhead.wire.gateway import client as gateways
from pierhead.wire.haproxy import worker

ENDPOINTS = 20
NODES = 100
TRANSACTION = 64
"""Changes that one transaction may hold."""


@dataclass(frozen=True, slots=True)
class Result:
    services: int
    seconds: list[float]
    reload: float
    memory_mib: float


def registration(service: int, number: int, status: str = "passing") -> dict[str, Any]:
    name, id_ = f"s{service}", f"s{service}-{number}"
    node = f"n{(service * ENDPOINTS + number) % NODES}"
    return {
        "Node": node,
        "Address": "127.0.0.1",
        "Service": {
            "ID": id_,
            "Service": name,
            "Address": f"10.{service >> 8}.{service & 255}.{number + 1}",
            "Port": 80,
        },
        "Check": {"CheckID": f"service:{id_}", "Name": "probe", "ServiceID": id_, "Status": status},
    }


async def fill(client: Consul, services: int) -> None:
    """The catalog has that many services with a route each. Many changes go in one transaction."""
    nodes = [{"Node": {"Verb": "set", "Node": {"Node": f"n{n}", "Address": "127.0.0.1"}}} for n in range(NODES)]
    await transact(client, nodes)
    queue = iter(range(services))

    async def some() -> None:
        for service in queue:
            instances = [one for number in range(ENDPOINTS) for one in operations(service, number)]
            await transact(client, [*instances, route(service)])

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(some())


def operations(service: int, number: int) -> list[dict[str, Any]]:
    """One instance with its check, as parts of a transaction."""
    told = registration(service, number)
    check = {**told["Check"], "Node": told["Node"]}
    return [
        {"Service": {"Verb": "set", "Node": told["Node"], "Service": told["Service"]}},
        {"Check": {"Verb": "set", "Check": check}},
    ]


def route(service: int) -> dict[str, Any]:
    document = f'{{"service": "s{service}", "hosts": ["s{service}.test"]}}'
    value = base64.b64encode(document.encode()).decode()
    return {"KV": {"Verb": "set", "Key": f"pier/routes/s{service}", "Value": value}}


async def transact(client: Consul, changes: list[dict[str, Any]]) -> None:
    for begin in range(0, len(changes), TRANSACTION):
        await client.put("/v1/txn", changes[begin : begin + TRANSACTION])


@asynccontextmanager
async def running(*argv: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from pierhead.cli.main import main; main()",
        *argv,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def wait_until(true: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if await true():
                return
        except errors.Unavailable:  # who is asked has yet to start, or to load what it keeps
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.05)
    raise SystemExit("it did not come about in time")


@asynccontextmanager
async def a_catalog(folder: Path, *, is_real: bool) -> AsyncIterator[str]:
    if is_real:
        async with real.serving(folder / "consul") as found:
            yield found.url
        return
    (port,) = ports.free(1)
    async with running("catalog", "--listen", f"127.0.0.1:{port}", "--data", str(folder / "catalog")):
        yield f"http://127.0.0.1:{port}"


async def measure(services: int, rounds: int, *, is_real: bool) -> Result:
    folder = Path(tempfile.mkdtemp(prefix="pier-scale-"))
    http, admin, other, admin2 = ports.free(4)
    async with a_catalog(folder, is_real=is_real) as url, Consul(url, connections=24) as client:
        await wait_until(lambda: catalog.services(client), 30)
        begin = time.monotonic()
        await fill(client, services)
        print(f"{services} services x {ENDPOINTS}: filled in {time.monotonic() - begin:.0f} s", file=sys.stderr)
        arguments = ("--catalog", url, "--http", f"127.0.0.1:{http}", "--admin", f"127.0.0.1:{admin}", "--no-keep")
        async with running("gateway", *arguments, "--data", str(folder / "gateway")) as process:

            async def is_ready() -> bool:
                found = await gateways.status(f"http://127.0.0.1:{admin}")
                return bool(found["state"] == "ready" and found["services"] >= services)

            socket = folder / "gateway" / "run" / "worker.sock"

            async def is_whole() -> bool:
                found = await worker.servers(socket)
                return sum(not server.in_maintenance for server in found) >= services * ENDPOINTS

            await wait_until(is_ready, 600)
            await wait_until(is_whole, 600)
            await asyncio.sleep(2)
            seconds = await changes(client, socket, services, rounds)
            memory = resident(process.pid)
        options = Options("rival", url, "127.0.0.1", other, "127.0.0.1", admin2, folder / "rival")
        return Result(services, seconds, await whole(client, options), memory)


async def changes(client: Consul, socket: Path, services: int, rounds: int) -> list[float]:
    found = []
    at = {server.address: server.backend for server in await worker.servers(socket)}
    for turn in range(rounds):
        service, status = (turn // 2 * 37) % services, ("critical", "passing")[turn % 2]
        address = registration(service, 3)["Service"]["Address"]
        begin = time.perf_counter()
        await catalog.register(client, registration(service, 3, status))
        while True:
            servers = await worker.servers(socket, at[address])
            shown = next(server for server in servers if server.address == address)
            if shown.in_maintenance == (status == "critical"):
                break
        found.append(time.perf_counter() - begin)
        await asyncio.sleep(0.05)
    return found


async def whole(client: Consul, options: Options) -> float:
    """The seconds of rendering everything and reloading, what was known being in memory already."""
    known = Known()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(follow.routes(client, known)), group.create_task(follow.services(client, known))]
        await wait_until(lambda: complete(known), 600)
        for task in tasks:
            task.cancel()
    frame = haproxy.frame(options)
    await haproxy.start(options, frame, render.files(frame, layout.draw(known.snapshot, {}, {})))
    found = []
    for _ in range(3):
        begin = time.perf_counter()
        await haproxy.reload(options, frame, render.files(frame, layout.draw(known.snapshot, {}, {})))
        found.append(time.perf_counter() - begin)
        await asyncio.sleep(1)
    await haproxy.stop(options.data)
    return statistics.median(found)


async def complete(known: Known) -> bool:
    return known.is_complete


def resident(pid: int) -> float:
    text = Path(f"/proc/{pid}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10,500,5000")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--real", action="store_true")
    options = parser.parse_args()
    results = [await measure(int(size), options.rounds, is_real=options.real) for size in options.sizes.split(",")]
    print(f"{'services x 20':>14} {'change p50':>12} {'p99':>10} {'all + reload':>14} {'ratio':>8} {'controller':>12}")
    for one in results:
        p50, p99 = statistics.median(one.seconds), sorted(one.seconds)[int(len(one.seconds) * 0.99)]
        print(
            f"{one.services:>14} {p50 * 1000:>9.1f} ms {p99 * 1000:>7.1f} ms {one.reload * 1000:>11.0f} ms "
            f"{p50 / one.reload:>7.3f}x {one.memory_mib:>8.0f} MiB"
        )
    first, last = (statistics.median(one.seconds) for one in (results[0], results[-1]))
    print(f"one change at {results[-1].services} services: {last / first:.2f}x the time at {results[0].services}")


if __name__ == "__main__":
    asyncio.run(main())
