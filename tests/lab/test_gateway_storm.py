"""A storm of changes that each need a reload: few reloads, none lost, no request fails, and old workers are bounded."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.lab.gateway_lab import Lab, lab, until

from pierhead.gateway import apply
from pierhead.kit import errors
from pierhead.testing import steady
from pierhead.testing.ports import free_port
from pierhead.wire.haproxy import master

HOST, CHANGES, MOST_OLD = "notes.test", 50, 2
DRAIN = timedelta(seconds=4)


@pytest.mark.timeout(240)
async def test_fifty_changes_in_two_seconds_are_few_reloads_and_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "OLD_WORKERS", MOST_OLD)
    async with lab(tmp_path, drain_limit=DRAIN) as gateway:
        await gateway.start()
        await gateway.register("notes-dev", await gateway.backend("one"))
        await gateway.route("notes", service="notes-dev", hosts=[HOST])
        await until(lambda: gateway.is_in("ready", "notes-dev", gateway.backends[0]))
        begin = time.monotonic()
        url = f"http://127.0.0.1:{gateway.options.http_port}"
        async with (
            steady.sending(url, HOST, 200) as sent,
            watching(gateway) as seen,
            holding(gateway) as held,
        ):
            ports = await storm(gateway, seen)
            for port in ports:
                await until(lambda port=port: leads(gateway, port), 90)  # type: ignore[misc]
            await until(gateway.has_nothing_pending, 60)
        assert not sent.failed, sent
        assert max(old for old, _ in seen) == MOST_OLD
        assert held
        assert min(held) > DRAIN.total_seconds() - 1, "a connection was cut before its time"
        told = await gateway.status()
        assert told["problems"] == []
        assert told["haproxy"]["reloads"] <= time.monotonic() - begin + 1, "they are a second apart"
        processes = await master.processes(gateway.options.run / "master.sock")
        assert (processes.reloads, processes.failed) == (told["haproxy"]["reloads"], 0)


async def storm(gateway: Lab, seen: list[tuple[int, bool]]) -> list[int]:
    """A port more, fifty times in two seconds, and then until it is shown that no reload may come for a while."""
    ports = list[int]()
    begin = time.monotonic()
    while len(ports) < CHANGES or not any(waits for _, waits in seen):
        assert time.monotonic() - begin < 60, "it is not shown that a reload waits"
        ports.append(free_port())
        await gateway.route(f"port-{len(ports)}", service="notes-dev", service_port=ports[-1])
        await asyncio.sleep(2 / CHANGES)
    return ports


async def leads(gateway: Lab, port: int) -> bool:
    try:
        async with gateway.session.get(f"http://127.0.0.1:{port}/") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@contextlib.asynccontextmanager
async def watching(gateway: Lab) -> AsyncIterator[list[tuple[int, bool]]]:
    """The workers that only finish, and whether a reload waits for them, as `/v1/status` says again and again."""
    seen = list[tuple[int, bool]]()

    async def look() -> None:
        while True:
            with contextlib.suppress(errors.Unavailable):  # a machine that is too busy to answer in time
                said: dict[str, Any] = await gateway.status()
                assert said["haproxy"]["workers"] <= said["haproxy"]["old_workers"] + 1
                waits = any("new routes wait for a reload" in problem["reason"] for problem in said["problems"])
                seen.append((said["haproxy"]["old_workers"], waits))
            await asyncio.sleep(0.02)

    async with cancelled_at_the_end(look()):
        yield seen


@contextlib.asynccontextmanager
async def holding(gateway: Lab) -> AsyncIterator[list[float]]:
    """Connections that never end by themselves keep old workers there. How long each of those lasted that were cut."""
    lasted = list[float]()

    async def hold() -> None:
        url = f"http://127.0.0.1:{gateway.options.http_port}/ws"
        begin = time.monotonic()
        async with gateway.session.ws_connect(url, headers={"Host": HOST}) as channel:
            await channel.receive()
            lasted.append(time.monotonic() - begin)

    async def open_more() -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(hold())
                await asyncio.sleep(0.3)

    async with cancelled_at_the_end(open_more()):
        yield lasted


@contextlib.asynccontextmanager
async def cancelled_at_the_end(work: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)  # noqa: TID251
    try:
        yield
        assert not task.done(), "it ended by itself"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
