"""What goes on when something ends: the controller, a worker, HAProxy, the catalog; and requests that are under way."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.gateway_lab import Backend, Lab, kill, lab, until

from pierhead.gateway import loop
from pierhead.kit import process
from pierhead.testing.ports import free_port
from pierhead.wire.consul import health
from pierhead.wire.haproxy import master

HOST = "notes.dev.localhost"
REQUESTS = int(os.environ.get("PIER_TEST_REQUESTS", "3000"))
"""How many there are at least while everything changes; 200,000 takes minutes."""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as found:
        yield found


async def notes(gateway: Lab, name: str = "one") -> Backend:
    found = await gateway.backend(name)
    await gateway.register("notes-dev", found)
    await gateway.route("notes", service="notes-dev", hosts=[HOST])
    await until(lambda: gateway.answers(HOST, 200))
    await until(lambda: gateway.is_in("ready", "notes-dev", found))
    return found


async def test_a_draining_endpoint_shows_its_open_request_until_it_is_answered(gateway: Lab) -> None:
    await gateway.start()
    one = await notes(gateway)
    slow = asyncio.ensure_future(gateway.get(HOST, "/slow"))  # noqa: TID251
    await until(lambda: shows(gateway, one, 1))
    await gateway.drain(one)
    await until(lambda: gateway.is_in("draining", "notes-dev", one))
    assert await shows(gateway, one, 1)
    assert await gateway.answers(HOST, 503)
    one.release.set()
    assert await slow == (200, "one")
    await until(lambda: shows(gateway, one, 0))


async def test_requests_of_a_worker_that_only_finishes_are_counted_and_not_cut(gateway: Lab) -> None:
    await gateway.start()
    one = await notes(gateway)
    slow = asyncio.ensure_future(gateway.get(HOST, "/slow"))  # noqa: TID251
    await until(lambda: shows(gateway, one, 1))
    await gateway.route("other", service="other", protocol="tcp", service_port=free_port())
    await until(lambda: gateway.has_reloaded(1))
    assert (await gateway.status())["haproxy"]["workers"] == 2
    await gateway.drain(one)
    await until(lambda: gateway.is_in("draining", "notes-dev", one))
    assert await shows(gateway, one, 1)
    one.release.set()
    assert await slow == (200, "one")
    await until(lambda: shows(gateway, one, 0))


async def test_killing_the_controller_leaves_haproxy_and_the_next_one_takes_it_over_without_a_reload(
    gateway: Lab,
) -> None:
    await gateway.start_child()
    one = await notes(gateway)
    pid = (await gateway.status())["haproxy"]["pid"]
    await gateway.kill_child()
    for _ in range(20):
        assert await gateway.answers(HOST, 200)
    two = await gateway.backend("two")
    await gateway.register("notes-dev", two)
    await gateway.drain(one)
    await gateway.start_child()
    await until(lambda: gateway.is_in("draining", "notes-dev", one))
    assert await gateway.answers(HOST, 200, "two")
    found = (await gateway.status())["haproxy"]
    assert (found["pid"], found["reloads"]) == (pid, 0)


async def test_what_changed_in_structure_while_no_controller_ran_costs_one_reload_and_no_restart(gateway: Lab) -> None:
    port = free_port()
    await gateway.route("queue", service="queue", protocol="tcp", service_port=port)
    await gateway.start_child()
    await notes(gateway)
    pid = (await gateway.status())["haproxy"]["pid"]
    await gateway.kill_child()
    await gateway.route("other", service="other", hosts=["other.test"])
    await gateway.route("more", service="more", protocol="tcp", service_port=free_port())
    await gateway.start_child()
    await until(lambda: gateway.answers("other.test", 503))
    assert await gateway.answers(HOST, 200)
    await until(lambda: gateway.has_reloaded(1))
    found = await gateway.status()
    assert (found["haproxy"]["pid"], found["problems"]) == (pid, [])


@pytest.mark.parametrize("which", ["worker", "master"])
async def test_a_killed_haproxy_process_is_back_at_once_and_alone(gateway: Lab, which: str) -> None:
    await gateway.start()
    await notes(gateway)
    found = await master.processes(gateway.options.run / "master.sock")
    kill(found.worker if which == "worker" else found.master)
    await until(lambda: is_new(gateway, found.master))
    assert await until(lambda: gateway.answers(HOST, 200)) < 2
    await until(lambda: ended(found.worker))


async def test_without_the_catalog_a_restarted_gateway_serves_the_last_known_state(gateway: Lab) -> None:
    await gateway.start()
    one = await notes(gateway)
    await until(lambda: holds(gateway.options.kept, f'"port":{one.port}'))
    await gateway.stop()
    gateway.options = replace(gateway.options, catalog_url=f"http://127.0.0.1:{free_port()}")
    await loop.stop_haproxy(gateway.options.data)
    await gateway.start()
    await until(lambda: gateway.answers(HOST, 200))
    await until(lambda: says(gateway, "degraded", "unknown"))


async def says(gateway: Lab, state: str, catalog: str) -> bool:
    found = await gateway.status()
    return (found["state"], found["catalog"]["state"]) == (state, catalog)


@pytest.mark.timeout(300 + REQUESTS // 50)
async def test_no_request_fails_during_twenty_endpoint_changes_and_five_reloads(gateway: Lab) -> None:
    await gateway.start()
    first = await notes(gateway, "b0")
    scraped = list[dict[str, int]]()
    stop, failures, counts = asyncio.Event(), list[str](), [0, 0]
    load = [
        asyncio.ensure_future(kind(gateway, stop, failures, counts))  # noqa: TID251
        for kind in (keep_alive, short, keep_alive, short)
    ]
    load.append(asyncio.ensure_future(scrape(gateway, stop, scraped)))  # noqa: TID251
    present = [first]
    for number in range(1, 21):
        newest = await gateway.backend(f"b{number}")
        await gateway.register("notes-dev", newest, release=f"v{number}")
        await until(lambda one=newest: gateway.is_in("ready", "notes-dev", one))  # type: ignore[misc]
        oldest = present.pop(0)
        present.append(newest)
        await gateway.drain(oldest)
        await until(lambda one=oldest: is_drained(gateway, one))  # type: ignore[misc]
        await oldest.stop()
        await gateway.deregister(oldest)
        await until(lambda n=number: has_at_least(counts, n * REQUESTS // 20), 20 + REQUESTS / 1000)  # type: ignore[misc]
        if number % 4 == 0:
            await gateway.route(f"r{number}", service=f"s{number}", hosts=[f"r{number}.test"], service_port=free_port())
            await until(lambda n=number: gateway.answers(f"r{n}.test", 503))  # type: ignore[misc]
            await until(lambda n=number: has_reloaded_often(gateway, n // 4))  # type: ignore[misc]
    stop.set()
    await asyncio.wait(load)
    assert failures == [], f"of {sum(counts)} requests"
    print(f"{sum(counts)} requests, 0 failed, {await gateway.reloads()} reloads")  # noqa: T201
    print(f"{sum(scraped[-1].values())} of them counted by release")  # noqa: T201
    await until(lambda: has_reloaded_often(gateway, 5))
    counts_are_true(scraped, sum(counts))


def counts_are_true(scraped: list[dict[str, int]], requests: int) -> None:
    """What the metrics say of each release never shrinks, whatever is reloaded, and together it is all there was."""
    for before, after in itertools.pairwise(scraped):
        assert all(after[release] >= count for release, count in before.items())
    assert len(scraped[-1]) == 21
    assert requests * 0.98 < sum(scraped[-1].values()) <= requests + 30  # those of the beginning are not counted here


async def scrape(gateway: Lab, stop: asyncio.Event, found: list[dict[str, int]]) -> None:
    """Release → its requests, again and again, and at the end."""
    line = r'^pierhead_gateway_release_requests_total{service="notes-dev",release="(.*?)",.*} (\d+)$'
    is_over = False
    while not is_over:
        is_last = stop.is_set()
        async with gateway.session.get(f"{gateway.admin}/metrics") as response:
            text = await response.text()
        if response.status == 200:  # in the middle of a reload HAProxy may not answer
            found.append({name: int(count) for name, count in re.findall(line, text, re.MULTILINE)})
            is_over = is_last
        await asyncio.sleep(0.3)


async def has_reloaded_often(gateway: Lab, times: int) -> bool:
    return await gateway.reloads() >= times


async def keep_alive(gateway: Lab, stop: asyncio.Event, failures: list[str], counts: list[int]) -> None:
    while not stop.is_set():
        status, text = await gateway.get(HOST)
        counts[0] += 1
        if status != 200:
            failures.append(f"keep-alive: {status} {text}")


async def short(gateway: Lab, stop: asyncio.Event, failures: list[str], counts: list[int]) -> None:
    request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.options.http_port)
            writer.write(request)
            answer = await reader.read()
            writer.close()
        except OSError as error:
            answer = repr(error).encode()
        counts[1] += 1
        if not answer.startswith(b"HTTP/1.1 200"):
            failures.append(f"short: {answer[:80]!r}")


async def shows(gateway: Lab, backend: Backend, requests: int) -> bool:
    found = await gateway.server("notes-dev", backend)
    return found is not None and found.requests == requests


async def is_drained(gateway: Lab, backend: Backend) -> bool:
    found = await gateway.server("notes-dev", backend)
    return found is None or (found.state == "draining" and found.requests == 0)


async def is_new(gateway: Lab, pid: int) -> bool:
    return (await gateway.status())["haproxy"]["pid"] not in (0, pid)


async def has_at_least(counts: list[int], total: int) -> bool:
    return sum(counts) >= total


async def ended(pid: int) -> bool:
    return process.parent(pid) == 0 or not process.describe(pid)


async def holds(path: Path, text: str) -> bool:
    return await asyncio.to_thread(lambda: path.exists() and text in path.read_text())


async def test_a_catalog_that_forgot_everything_takes_nothing_away_at_once(gateway: Lab, tmp_path: Path) -> None:
    await gateway.start()
    one = await notes(gateway)
    async with gateway.another_catalog(tmp_path / "empty"):
        await until(lambda: in_catalog(gateway, "live"))
        await until(lambda: is_announced(gateway))
        assert await gateway.answers(HOST, 200)
        assert await gateway.is_in("ready", "notes-dev", one)


async def test_a_consul_in_the_place_of_the_embedded_catalog_is_followed(gateway: Lab, tmp_path: Path) -> None:
    """It has no list of changes; what it says is followed all the same."""
    one, two = await gateway.backend("one"), await gateway.backend("two")
    await gateway.register("notes-dev", one)
    await gateway.route("notes", service="notes-dev", hosts=[HOST])
    await gateway.start()
    await until(lambda: gateway.answers(HOST, 200, "one"))
    async with gateway.a_consul_instead(tmp_path / "consul"):
        await gateway.route("notes", service="notes-dev", hosts=[HOST])
        await gateway.register("notes-dev", two)
        await until(lambda: gateway.is_in("ready", "notes-dev", two), 60)
        await gateway.drain(two)
        await until(lambda: gateway.is_in("draining", "notes-dev", two), 60)


async def in_catalog(gateway: Lab, state: str) -> bool:
    return bool((await gateway.status())["catalog"]["state"] == state)


async def is_announced(gateway: Lab) -> bool:
    found, _ = await health.service(gateway.catalog, "pier-gateway", passing=True)
    return bool(found)
