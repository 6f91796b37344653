"""One change must cost the same in a large estate as in a small one: counted in what is asked, fetched and drawn."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.lab import estate
from tests.lab.gateway_lab import Lab, lab, until

from pierhead.gateway import loop, observe, slots
from pierhead.wire.consul import catalog
from pierhead.wire.haproxy import cli, records

ENDPOINTS = 5
CHANGED = "s1"
_ASK = cli.ask
"""For the test itself, which is not counted."""


@pytest.mark.timeout(300)
async def test_one_change_among_300_services_costs_what_it_costs_among_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = [await cost(tmp_path / str(services), services, monkeypatch) for services in (5, 300)]
    assert costs[1] == costs[0]
    assert costs[0]["fetched"] == costs[0]["drawn"] == [CHANGED]
    assert [line.split(":")[0] for line in costs[0]["asked"]] == ["set server http", "show servers state http"]


async def cost(folder: Path, services: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What was asked of HAProxy, fetched from the catalog and drawn anew because one check turned critical."""
    with monkeypatch.context() as patch:
        async with lab(folder) as gateway:
            await estate.fill(gateway.catalog, range(services), ENDPOINTS)
            await gateway.start()
            await until(lambda: holds(gateway, services * ENDPOINTS), 120, "all endpoints are served")
            await until(gateway.has_nothing_pending)
            reloads = await gateway.reloads()
            patch.setattr(loop, "LOOK", timedelta(hours=1))  # what is read now and then anyway is not of the change
            seen = watched(patch)
            await change(gateway, "critical")
            await until(lambda: is_read_back(gateway, seen, ENDPOINTS - 1))
            for one in seen.values():
                one.clear()
            await change(gateway, "passing")
            await until(lambda: is_read_back(gateway, seen, ENDPOINTS))
            found = {kind: list(lines) for kind, lines in seen.items()}
            assert await gateway.reloads() == reloads
            return found


async def change(gateway: Lab, status: str) -> None:
    await catalog.register(gateway.catalog, estate.registration(1, 0, status))


def watched(patch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    seen: dict[str, list[str]] = {"asked": [], "fetched": [], "drawn": []}
    ask, fetch, assign = cli.ask, observe.endpoints, slots.assign

    async def asked(socket: Path, line: str, **options: Any) -> str:
        answer = await ask(socket, line, **options)
        seen["asked"].append(f"{line}: {len(answer.splitlines())} lines")
        return answer

    async def fetched(client: Any, service: str) -> observe.Seen:
        seen["fetched"].append(service)
        return await fetch(client, service)

    def drawn(held: Any, wanted: Any) -> Any:
        found = list(wanted)
        seen["drawn"].append(f"s{int(found[0][0].split('.')[2]) + 256 * int(found[0][0].split('.')[1])}")
        return assign(held, found)

    patch.setattr(cli, "ask", asked)
    patch.setattr(observe, "endpoints", fetched)
    patch.setattr(slots, "assign", drawn)
    return seen


async def holds(gateway: Lab, endpoints: int) -> bool:
    return sum(not server.in_maintenance for server in await servers(gateway)) == endpoints


async def is_read_back(gateway: Lab, seen: dict[str, list[str]], endpoints: int) -> bool:
    """So many take requests, and the gateway has looked at what it did."""
    return await ready(gateway) == endpoints and "".join(seen["asked"][-1:]).startswith("show servers state")


async def ready(gateway: Lab) -> int:
    return sum(one.backend == f"http:{CHANGED}" and not one.in_maintenance for one in await servers(gateway))


async def servers(gateway: Lab) -> tuple[records.Server, ...]:
    return records.read_servers(await _ASK(gateway.options.run / "worker.sock", "show servers state"))
