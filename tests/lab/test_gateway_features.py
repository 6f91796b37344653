"""What a route can say besides where it leads, on the real HAProxy. One gateway; each test has names of its own."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.lab.gateway_lab import Backend, Lab, lab, until

from pierhead.testing.authority import Authority
from pierhead.testing.ports import free_port
from pierhead.wire.gateway.client import Gateways


class Echo(Backend):
    """Answers with what arrived."""

    async def _answer(self, request: web.Request) -> web.Response:
        told = {"name": self.name, "path": request.path_qs, "headers": _headers_of(request)}
        return web.json_response(told | {"size": len(await request.read())})


def _headers_of(request: web.Request) -> dict[str, str]:
    return {name: ", ".join(request.headers.getall(name)) for name in request.headers}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Lab]:
    folder = tmp_path / "certificates"
    folder.mkdir()
    async with lab(tmp_path, trusted=("127.0.0.9/32",), https_port=free_port(), certificates=folder) as found:
        await found.start()
        yield found


async def test_routes_do_what_their_fields_say(gateway: Lab) -> None:
    for name in ("one", "two", "three"):
        backend = Echo(name)
        await backend.start()
        gateway.backends.append(backend)
        await gateway.register("web", backend)
    port = free_port()
    await _declare(gateway, port)
    await until(lambda: gateway.answers("last.test", 200))
    await until(gateway.has_nothing_pending)
    assert (await gateway.status())["problems"] == []

    await _rewrites(gateway)
    await _redirects(gateway)
    await _limits(gateway)
    await _headers(gateway)
    await _comes_back(gateway)
    await _is_placed_by_what_it_carries(gateway)
    async with gateway.session.get(f"http://127.0.0.1:{port}/x") as response:
        assert (await response.json())["path"] == "/x"

    await gateway.route("o", service="web", hosts=["work.test"], maintenance=True)
    await until(lambda: gateway.answers("work.test", 503, "being worked on"))
    async with _ask(gateway, "work.test", "/") as response:
        assert response.headers["Retry-After"] == "60"
    await gateway.route("o", service="web", hosts=["work.test"])
    await until(lambda: gateway.answers("work.test", 200))


async def _declare(gateway: Lab, port: int) -> None:
    await gateway.route("a", service="web", hosts=["strip.test"], paths=["/api", "/api/v2"], rewrite="/")
    await gateway.route("b", service="web", hosts=["put.test"], paths=["/", "/it's%20odd"], rewrite="/a'b%20/c")
    await gateway.route("c", service="web", hosts=["safe.test"], https="redirect", hsts="1d", redirect_code=301)
    await gateway.route("d", redirect="shop.test", hosts=["www.shop.test"])
    await gateway.route("p", redirect="shop.test/50%s", hosts=["odd.test"])
    await gateway.route("e", redirect="https://new.test/50%25", redirect_code=302, hosts=["old.test"])
    await gateway.route("f", service="web", hosts=["small.test"], body_limit="1KiB")
    await gateway.route("g", service="web", hosts=["slow.test"], response_timeout="100ms")
    await gateway.route("h", service="web", hosts=["sticky.test"], sticky=True)
    await gateway.route("i", service="web", hosts=["path.test"], balance="path")
    await gateway.route("j", service="web", hosts=["header.test"], balance="header:X-User")
    await gateway.route("k", service="web", hosts=["cookie.test"], balance="cookie:user")
    await gateway.route("l", service="web", hosts=["source.test"], balance="source")
    await gateway.route("m", service="web", hosts=["least.test"], balance="leastconn")
    await gateway.route("n", service="web", service_port=port, hosts=["last.test"])
    await gateway.route("o", service="web", hosts=["work.test"])


def _ask(gateway: Lab, host: str, path: str, method: str = "GET", **arguments: Any) -> Any:
    headers = {"Host": host, **arguments.pop("headers", {})}
    url = f"http://127.0.0.1:{gateway.options.http_port}{path}"
    return gateway.session.request(method, url, headers=headers, allow_redirects=False, **arguments)


async def _arrived(gateway: Lab, host: str, path: str = "/", **arguments: Any) -> dict[str, Any]:
    async with _ask(gateway, host, path, **arguments) as response:
        assert response.status == 200, await response.text()
        found: dict[str, Any] = json.loads(await response.text())
        return found


async def _rewrites(gateway: Lab) -> None:
    expected = {
        ("strip.test", "/api"): "/",
        ("strip.test", "/api/"): "/",
        ("strip.test", "/api/api/x?a=/api"): "/api/x?a=/api",
        ("strip.test", "/api/v2/x"): "/x",
        ("put.test", "/"): "/a'b%20/c/",
        ("put.test", "/x/"): "/a'b%20/c/x/",
        ("put.test", "/it's%20odd"): "/a'b%20/c",
    }
    for (host, path), wanted in expected.items():
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.options.http_port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        body = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        assert json.loads(body)["path"] == wanted, (host, path)
    assert await gateway.answers("strip.test", 404, path="/apix")


async def _redirects(gateway: Lab) -> None:
    expected = {
        ("safe.test", "/a?b=c"): (301, f"https://safe.test:{gateway.options.https_port}/a?b=c"),
        ("www.shop.test", "/a?b=c"): (308, "http://shop.test/a?b=c"),
        ("www.shop.test:8080", "/"): (308, "http://shop.test:8080/"),
        ("odd.test:8080", "/a"): (308, "http://shop.test:8080/50%s/a"),
        ("old.test", "/a?b=c"): (302, "https://new.test/50%25/a?b=c"),
    }
    for (host, path), wanted in expected.items():
        async with _ask(gateway, host, path) as response:
            assert (response.status, response.headers["Location"]) == wanted


async def _limits(gateway: Lab) -> None:
    async with _ask(gateway, "small.test", "/", "POST", data=b"x" * 1024) as response:
        assert (await response.json())["size"] == 1024
    async with _ask(gateway, "small.test", "/", "POST", data=b"x" * 1025) as response:
        assert (response.status, "Too large" in await response.text()) == (413, True)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    async with _ask(gateway, "small.test", "/", "POST", data=chunks()) as response:
        assert response.status == 411
    assert await gateway.answers("slow.test", 504, path="/slow")


async def _headers(gateway: Lab) -> None:
    forged = {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.test"}
    seen = (await _arrived(gateway, "last.test", headers=forged | {"X-Request-ID": "mine"}))["headers"]
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert (seen["X-Forwarded-Proto"], seen["X-Forwarded-Host"]) == ("http", "last.test")
    assert seen["X-Request-ID"] == "mine"
    assert (await _arrived(gateway, "last.test"))["headers"]["X-Request-ID"] != seen["X-Request-ID"]
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.9", 0))
    async with aiohttp.ClientSession(connector=connector) as balancer:
        url = f"http://127.0.0.1:{gateway.options.http_port}/"
        async with balancer.get(url, headers={"Host": "safe.test", **forged}) as response:
            seen = (await response.json())["headers"]
            assert response.headers["Strict-Transport-Security"] == "max-age=86400"
    assert seen["X-Forwarded-For"] == "9.9.9.9, 127.0.0.9"
    assert (seen["X-Forwarded-Proto"], seen["X-Forwarded-Host"]) == ("https", "evil.test")


async def _comes_back(gateway: Lab) -> None:
    async with _ask(gateway, "sticky.test", "/") as response:
        cookie = response.headers["Set-Cookie"].split(";")[0]
        first = (await response.json())["name"]
    answers = {(await _arrived(gateway, "sticky.test", headers={"Cookie": cookie}))["name"] for _ in range(20)}
    assert answers == {first}
    backend = next(one for one in gateway.backends if one.name == first)
    await gateway.drain(backend)

    async def has_left() -> bool:
        return bool((await _arrived(gateway, "sticky.test", headers={"Cookie": cookie}))["name"] != first)

    await until(has_left, what="who drains gets nothing new, a cookie or not")
    await gateway.drain(backend, enable=False)

    async def is_back() -> bool:
        return not await has_left()

    await until(is_back, what="the cookie leads to the same instance again")


async def _is_placed_by_what_it_carries(gateway: Lab) -> None:
    for host, carried in (
        ("path.test", lambda n: {"path": f"/{n}"}),
        ("header.test", lambda n: {"headers": {"X-User": str(n)}}),
        ("cookie.test", lambda n: {"headers": {"Cookie": f"user={n}"}}),
    ):
        names = [{(await _arrived(gateway, host, **carried(n)))["name"] for _ in range(3)} for n in range(24)]
        assert all(len(found) == 1 for found in names), host
        assert len(Counter(name for found in names for name in found)) == 3, host
    assert len({(await _arrived(gateway, "source.test"))["name"] for _ in range(6)}) == 1
    assert len({(await _arrived(gateway, "least.test"))["name"] for _ in range(6)}) > 1
    assert len({(await _arrived(gateway, "cookie.test"))["name"] for _ in range(9)}) > 1


async def test_what_only_haproxy_refuses_leaves_out_nothing_but_itself(gateway: Lab, tmp_path: Path) -> None:
    web_ = await gateway.backend("web")
    await gateway.register("web", web_)
    for n in range(100):
        await gateway.route(f"good-{n:02}", service="web", hosts=[f"good-{n}.test"], response_timeout=f"{n + 1}s")
    await gateway.route("bad", service="web", hosts=["bad.test"], response_timeout="30d")
    await gateway.route("worse", service="web", hosts=["worse.test"], connect_timeout="40d")
    (tmp_path / "weak.pem").write_text(Authority().make("weak.test", weak=True).pem)
    (tmp_path / "weak.pem").rename(tmp_path / "certificates" / "weak.pem")
    await until(lambda: gateway.answers("good-99.test", 200), 60)
    await until(lambda: _has_problems(gateway, {"bad", "worse", "certificate weak"}), 60)
    reasons = {problem["route"]: problem["reason"] for problem in (await gateway.status())["problems"]}
    assert all("timer overflow" in reasons[name] for name in ("bad", "worse"))
    assert "unable to load SSL certificate" in reasons["certificate weak"]
    for n in range(100):
        assert await gateway.answers(f"good-{n}.test", 200)
    assert await gateway.answers("bad.test", 404)
    async with Gateways() as asked:
        listed = {one["name"]: (one["state"], one["problem"]) for one in await asked.routes(gateway.admin)}
    assert len(listed) == 102
    assert listed["good-00"] == ("ready", "")
    assert listed["bad"] == ("refused", reasons["bad"])
    await gateway.route("bad", service="web", hosts=["bad.test"])
    await until(lambda: gateway.answers("bad.test", 200), 30)
    await until(lambda: _has_problems(gateway, {"worse", "certificate weak"}), 30)


async def _has_problems(gateway: Lab, wanted: set[str]) -> bool:
    return {problem["route"] for problem in (await gateway.status())["problems"]} == wanted
