"""A gateway that starts must be whole at once, whatever the size of the estate: counted in files that HAProxy reads.

The catalog is held up, as it is on a busy machine; nothing here depends on how long anything takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.lab import estate
from tests.lab.gateway_lab import Lab, lab, until

from pierhead.gateway import follow, known, loop, observe
from pierhead.wire.haproxy import worker

SERVICES, ENDPOINTS = 240, 12
"""More endpoints than a pool has slots before anybody is known."""
HOST = "notes.test"
_COUNTED = """\
#!/bin/sh
echo "$1" >>{runs}
exec haproxy "$@"
"""


class Gate:
    """The catalog's answers about services wait here."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.opened = asyncio.Event()
        self.asked = 0
        several, one = observe.several, observe.endpoints

        async def held_several(client: Any, services: Sequence[str]) -> Any:
            await self._pass()
            return await several(client, services)

        async def held_one(client: Any, service: str) -> observe.Seen:
            await self._pass()
            return await one(client, service)

        patch.setattr(observe, "several", held_several)
        patch.setattr(observe, "endpoints", held_one)

    async def _pass(self) -> None:
        self.asked += 1
        if self.asked > follow.PARALLEL:  # the first ones are let through: something is known, and more is not
            await self.opened.wait()


@pytest.mark.timeout(240)
async def test_a_start_reads_one_file_and_reloads_nothing_however_much_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    monkeypatch.setattr(known, "STALLED", timedelta(minutes=2))  # the catalog is held up on purpose
    async with lab(tmp_path, haproxy=counted(tmp_path, runs)) as gateway:
        half = SERVICES // 2
        await estate.fill(gateway.catalog, range(half), ENDPOINTS)
        await estate.fill(gateway.catalog, range(half, SERVICES), ENDPOINTS, by_metadata=True)
        await first_start(gateway, runs, Gate(monkeypatch))
        await again_from_disk(gateway, runs, Gate(monkeypatch))


async def first_start(gateway: Lab, runs: Path, gate: Gate) -> None:
    """Nothing is on disk: HAProxy is started when all of it is known, also if that takes longer than a guess may."""
    starting = asyncio.ensure_future(gateway.start())  # noqa: TID251
    await until(lambda: asked(gate, follow.PARALLEL + 1), 60)
    await asyncio.sleep(loop.FIRST_GUESS.total_seconds() * 1.5)  # the guess is over; there is nothing to be seen of it
    assert await noted(runs) == [], "HAProxy was started with a part of the estate"
    gate.opened.set()
    await starting
    await until(lambda: holds(gateway, SERVICES * ENDPOINTS), 60, "all endpoints are served")
    await until(gateway.has_nothing_pending)
    sites = await worker.entries(gateway.options.run / "worker.sock", gateway.options.folder.absolute() / "sites.map")
    assert sites == {f"s{number}.test/": f"http:s{number}" for number in range(SERVICES)}
    assert await gateway.reloads() == 0
    assert await noted(runs) == ["-W"]


async def again_from_disk(gateway: Lab, runs: Path, gate: Gate) -> None:
    """What is on disk is served while the catalog has not told anything yet; what came meanwhile costs one reload."""
    notes = await gateway.backend("notes")
    await gateway.register("notes-dev", notes)
    await gateway.route("notes", service="notes-dev", hosts=[HOST])
    gate.opened.set()
    await until(lambda: gateway.answers(HOST, 200))
    await until(lambda: is_saved(gateway, f'"port":{notes.port}'))
    await gateway.stop()
    await loop.stop_haproxy(gateway.options.data)
    await estate.fill(gateway.catalog, range(SERVICES, SERVICES + 60), ENDPOINTS)
    before = len(await noted(runs))
    gate.opened.clear()
    gate.asked = 0
    await gateway.start()
    await until(lambda: gateway.answers(HOST, 200), what="what was saved is served")
    assert await holds(gateway, SERVICES * ENDPOINTS + 1)
    gate.opened.set()
    total = (SERVICES + 60) * ENDPOINTS + 1
    await until(lambda: holds(gateway, total), 60, "what came meanwhile is served too")
    await until(gateway.has_nothing_pending)
    assert await gateway.reloads() <= 1
    assert (await noted(runs))[before:] == ["-W", "-c"]
    assert (await gateway.status())["problems"] == []


def counted(folder: Path, runs: Path) -> str:
    """HAProxy, which writes down what it is run for: `-c` to check a file, `-W` to serve."""
    program = folder / "haproxy"
    program.write_text(_COUNTED.format(runs=runs))
    program.chmod(0o700)
    return str(program)


async def noted(runs: Path) -> list[str]:
    return await asyncio.to_thread(lambda: runs.read_text().split() if runs.exists() else [])


async def asked(gate: Gate, times: int) -> bool:
    return gate.asked >= times


async def holds(gateway: Lab, endpoints: int) -> bool:
    found = await worker.servers(gateway.options.run / "worker.sock")
    return sum(not server.in_maintenance for server in found) == endpoints


async def is_saved(gateway: Lab, text: str) -> bool:
    path = gateway.options.kept
    return await asyncio.to_thread(lambda: path.exists() and text in path.read_text())
