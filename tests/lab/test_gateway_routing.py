"""What a request meets: the right service, 404 or 503."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.lab.gateway_lab import Backend, Lab, lab, until

from pierhead.gateway.loaded import SPARES
from pierhead.kit import clock
from pierhead.model import route
from pierhead.model.app import Domains, Port, Protocol, Spec
from pierhead.model.release import Release
from pierhead.release import routes
from pierhead.release.routes import Shares
from pierhead.testing.ports import free_port
from pierhead.wire.consul import kv


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as found:
        await found.start()
        yield found


async def test_a_name_nobody_declared_is_404_and_a_service_without_instance_is_503_that_says_so(gateway: Lab) -> None:
    await gateway.route("notes", service="notes-dev", hosts=["notes.dev.localhost"])
    await until(lambda: gateway.answers("notes.dev.localhost", 503, "no instance"))
    async with gateway.session.get(
        f"http://127.0.0.1:{gateway.options.http_port}/", headers={"Host": "notes.dev.localhost"}
    ) as response:
        assert response.headers["Retry-After"] == "2"
    assert await gateway.answers("other.dev.localhost", 404)


async def test_an_endpoint_of_a_known_service_gets_requests_within_a_second_without_a_reload(gateway: Lab) -> None:
    await gateway.route("notes", service="notes-dev", hosts=["notes.dev.localhost"])
    await until(lambda: gateway.answers("notes.dev.localhost", 503))
    one = await gateway.backend("one")
    await gateway.register("notes-dev", one, status="critical")
    await until(lambda: gateway.is_in("down", "notes-dev", one))
    await gateway.check(one, "passing")
    assert await until(lambda: gateway.answers("notes.dev.localhost", 200, "one")) < 1
    assert await gateway.reloads() == 0
    async with gateway.session.get(f"{gateway.admin}/metrics") as response:
        text = await response.text()
    assert 'haproxy_server_http_responses_total{proxy="http:notes-dev",server="s1",code="2xx"} 1' in text
    assert 'pierhead_gateway_endpoint_info{proxy="http:notes-dev",server="s1",service="notes-dev"' in text
    await gateway.check(one, "critical")
    await until(lambda: gateway.is_in("down", "notes-dev", one))


async def test_new_services_and_names_cost_no_reload_while_there_are_spare_backends(gateway: Lab) -> None:
    one, two = await gateway.backend("one"), await gateway.backend("two")
    await gateway.register("notes-dev", one)
    await gateway.register("shop-dev", two)
    await gateway.route("notes", service="notes-dev", hosts=["notes.test", "*.notes.test"])
    await until(lambda: gateway.answers("notes.test", 200, "one"))
    await gateway.route("shop", service="shop-dev", hosts=["shop.test"], paths=["/", "/a;b"])
    await until(lambda: gateway.answers("shop.test", 200, "two"))
    await gateway.route("notes", service="notes-dev", hosts=["other.test", "*.a.notes.test", "*.notes.test"])
    await until(lambda: gateway.answers("other.test", 200, "one"))
    assert await gateway.answers("b.a.notes.test", 200, "one")
    await until(lambda: gateway.answers("notes.test", 404))
    await gateway.unroute("shop")
    await until(lambda: gateway.answers("shop.test", 404))
    assert await gateway.reloads() == 0


async def test_more_new_services_than_spare_backends_cost_few_reloads_and_none_is_lost(gateway: Lab) -> None:
    one = await gateway.backend("one")
    for number in range(3 * SPARES):
        service = f"s{number}"
        await gateway.register(service, one, id_=service)
        await gateway.route(service, service=service, hosts=[f"{service}.test"])
    for number in range(3 * SPARES):
        await until(lambda n=number: gateway.answers(f"s{n}.test", 200, "one"))  # type: ignore[misc]
    assert await gateway.reloads() <= 5
    await until(lambda: has_state(gateway, "ready"))


async def test_the_longest_path_wins_on_whole_segments_and_exact_hosts_before_wildcards(gateway: Lab) -> None:
    for name in ("site", "api", "any", "deep"):
        await gateway.register(name, await gateway.backend(name))
    await gateway.route("site", service="site", hosts=["shop.test"])
    await gateway.route("api", service="api", hosts=["shop.test"], paths=["/api"])
    await gateway.route("any", service="any", hosts=["*.shop.test"])
    await gateway.route("deep", service="deep", hosts=["*.deep.shop.test"])
    await until(lambda: gateway.answers("a.deep.shop.test", 200, "deep"))
    assert await gateway.answers("SHOP.test:8080", 200, "site", "/apiary")
    assert await gateway.answers("shop.test", 200, "api", "/api")
    assert await gateway.answers("shop.test", 200, "api", "/api/v1?q=1")
    assert await gateway.answers("b.shop.test", 200, "any", "/api")
    assert await gateway.answers("shop.test.evil", 404)


async def test_a_service_port_leads_to_its_service_over_plain_tcp(gateway: Lab) -> None:
    port = free_port()
    queue = await gateway.backend("queue")
    await gateway.register("queue", queue)
    await gateway.route("queue", service="queue", protocol="tcp", service_port=port)

    async def answer() -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return b""
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        found = await reader.read()
        writer.close()
        return found

    await until(lambda: _contains(answer(), b"queue"))
    await until(lambda: _is_idle(gateway, queue))


async def test_a_port_that_another_program_has_leaves_out_only_its_own_route(gateway: Lab) -> None:
    other = await gateway.backend("other")
    await gateway.register("notes-dev", other)
    await gateway.route("queue", service="queue", protocol="tcp", service_port=other.port)
    await gateway.route("notes", service="notes-dev", hosts=["notes.dev.localhost"])
    await until(lambda: gateway.answers("notes.dev.localhost", 200, "other"))
    await until(lambda: is_troubled(gateway))
    problems = (await gateway.status())["problems"]
    assert [problem["route"] for problem in problems] == ["queue"]
    assert "another program listens there" in problems[0]["reason"]


async def test_a_web_socket_passes(gateway: Lab) -> None:
    await gateway.register("chat", await gateway.backend("chat"))
    await gateway.route("chat", service="chat", hosts=["chat.test"])
    await until(lambda: gateway.answers("chat.test", 200))
    url = f"http://127.0.0.1:{gateway.options.http_port}/ws"
    async with gateway.session.ws_connect(url, headers={"Host": "chat.test"}) as channel:
        await channel.send_str("ahoy")
        assert await channel.receive_str(timeout=5) == "chat: ahoy"


async def test_a_declared_weight_divides_requests_between_releases(gateway: Lab) -> None:
    for name, release in (("old-1", "v1"), ("old-2", "v1"), ("old-3", "v1"), ("new-1", "v2")):
        await gateway.register("notes-dev", await gateway.backend(name), release=release)
    await gateway.route("notes", service="notes-dev", hosts=["notes.test"], weights={"v1": 75, "v2": 25})
    await until(lambda: gateway.answers("notes.test", 200))
    answers = [(await gateway.get("notes.test"))[1] for _ in range(400)]
    assert 95 <= answers.count("new-1") <= 105


async def is_troubled(gateway: Lab) -> bool:
    return bool((await gateway.status())["problems"])


async def has_state(gateway: Lab, state: str) -> bool:
    return bool((await gateway.status())["state"] == state)


async def _is_idle(gateway: Lab, backend: Backend) -> bool:
    found = await gateway.server("queue", backend)
    return found is not None and found.requests == 0


async def _contains(answer: object, part: bytes) -> bool:
    found = await answer  # type: ignore[misc]
    return part in found


async def test_an_app_is_found_in_each_environment_by_the_names_that_it_has_there(gateway: Lab) -> None:
    """One environment has a domain of its own, and there a preview host for the release that is to come."""
    domains = Domains("localhost", {"production": "example"})
    for environment in ("dev", "production"):
        release = _release(environment)
        await gateway.register(f"shop-{environment}", await gateway.backend(environment), release=release.name)
        shares = Shares(preview=release) if environment == "production" else None
        for name, found in routes.routes([release], domains, "lab", shares).items():
            assert await kv.put(gateway.catalog, route.PREFIX + name, json.dumps(route.document(found)).encode())
    leads = {
        "shop.dev.localhost": "dev",
        "shop.production.localhost": "production",
        "shop.example": "production",
        "preview.shop.production.localhost": "production",
    }
    for host, environment in leads.items():
        await until(lambda host=host, to=environment: gateway.answers(host, 200, to), 60)  # type: ignore[misc]
    for host in ("shop.localhost", "shop.dev.example", "dev.example", "preview.shop.dev.localhost", "example"):
        assert await gateway.answers(host, 404), host


def _release(environment: str) -> Release:
    spec = Spec("shop", ports=(Port("http", 8000, Protocol.HTTP),))
    return Release(1, "shop", environment, 1, "image", "c0ffee", "", spec, {}, clock.now())
