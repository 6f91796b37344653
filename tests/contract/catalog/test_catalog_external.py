"""What is registered past any agent, and what nobody should send."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

import aiohttp
import pytest

from pierhead.kit import errors
from pierhead.wire.consul import agent, catalog, health, kv, status
from pierhead.wire.consul.client import Consul

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_node_without_an_agent_has_services_and_checks(consul: Consul, name: str) -> None:
    body = {
        "Node": name,
        "Address": "10.9.8.7",
        "NodeMeta": {"rack": name},
        "Service": {"ID": f"{name}-1", "Service": name, "Port": 5, "Tags": ["q"]},
        "Checks": [{"CheckID": f"{name}-c", "Name": "c", "Status": "warning", "ServiceID": f"{name}-1"}],
    }
    await catalog.register(consul, body)
    (entry,), _ = await health.service(consul, name)
    assert (entry.address, entry.service.port, entry.node.meta) == ("10.9.8.7", 5, {"rack": name})
    assert [(check.id, check.status, check.service_tags) for check in entry.checks] == [
        (f"{name}-c", "warning", ("q",))
    ]
    assert (await health.service(consul, name, passing=True))[0] == ()
    assert [each.name for each in (await catalog.nodes(consul))[0] if each.name == name] == [name]
    chosen = (await consul.get(f"/v1/catalog/service/{name}", {"node-meta": f"rack:{name}"})).json()
    assert len(chosen) == 1
    assert (await consul.get(f"/v1/catalog/service/{name}", {"node-meta": "rack:other"})).json() == []
    await catalog.deregister(consul, {"Node": name, "CheckID": f"{name}-c"})
    assert len((await health.service(consul, name, passing=True))[0]) == 1
    await catalog.deregister(consul, {"Node": name})
    assert (await health.service(consul, name))[0] == ()
    assert (await consul.get(f"/v1/catalog/node/{name}")).json() is None


async def test_a_node_s_watcher_hears_that_it_is_gone(consul: Consul, name: str) -> None:
    await catalog.register(consul, {"Node": name, "Address": "10.0.0.1"})
    answer = await consul.get(f"/v1/catalog/node/{name}")
    assert answer.index >= 1
    await catalog.deregister(consul, {"Node": name})
    assert (await consul.get(f"/v1/catalog/node/{name}")).json() is None


async def test_whoever_looks_near_sees_that_node_first(consul: Consul, name: str) -> None:
    await catalog.register(consul, {"Node": f"a-{name}", "Address": "10.0.0.1", "Service": {"Service": name}})
    await agent.register(consul, agent.Registration(name))
    found = (await consul.get(f"/v1/health/service/{name}", {"near": "_agent"})).json()
    assert {entry["Node"]["Node"] for entry in found} == {"probe", f"a-{name}"}
    await catalog.deregister(consul, {"Node": f"a-{name}"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/agent/service/register", b'{"Name":'),
        ("/v1/agent/service/register", b""),
        ("/v1/agent/service/register", b"nonsense"),
        ("/v1/agent/service/register", b'["list"]'),
        ("/v1/agent/service/register", b'{"ID": "no-name"}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Bogus": 1}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Port": "80"}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Tags": "a"}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Meta": {"a": 1}}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Meta": {"a b": "c"}}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Address": "0.0.0.0"}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Check": {"TTL": "1 hour"}}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Check": {"TTL": "1h", "Interval": "1s"}}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Check": {"HTTP": "http://127.0.0.1:1"}}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Check": {"TTL": "1h", "Status": "fine"}}'),
        ("/v1/agent/service/register", b'{"Name": "x", "Weights": {"Passing": 0, "Warning": 1}}'),
        ("/v1/agent/check/register", b'{"TTL": "1h"}'),
        ("/v1/agent/maintenance?enable=perhaps", b""),
        ("/v1/agent/service/maintenance/x", b""),
        ("/v1/catalog/register", b'{"Address": "1.1.1.1"}'),
        ("/v1/kv/x?cas=abc", b"v"),
        ("/v1/kv/x?flags=-1", b"v"),
        ("/v1/kv/x?cas=1&acquire=y", b"v"),
        ("/v1/kv/", b"v"),
        ("/v1/session/create", b'{"TTL": "1s"}'),
        ("/v1/txn", b"{}"),
    ],
)
async def test_bad_input_is_refused_and_changes_nothing(consul: Consul, path: str, body: bytes) -> None:
    bare, _, query = path.partition("?")
    params = dict(part.partition("=")[::2] for part in query.split("&")) if query else {}
    with pytest.raises(errors.Invalid):
        await consul.put(bare, body, params)
    assert not {"x", "no-name"} & (await catalog.services(consul))[0].keys()
    assert (await kv.get(consul, "x"))[0] is None


async def test_what_old_and_new_clients_write_is_understood(consul: Consul, name: str) -> None:
    body = {
        "name": name,
        "tagged_addresses": {"lan": {"address": "1.2.3.4", "port": 5}},
        "enable_tag_override": True,
        "check": None,
        "checks": [{"ttl": "15.000000s", "status": "passing", "deregister_critical_service_after": "90m"}],
    }
    await consul.put("/v1/agent/service/register", json.dumps(body).encode())
    (entry,) = (await consul.get(f"/v1/health/service/{name}")).json()
    assert entry["Service"]["TaggedAddresses"] == {"lan": {"Address": "1.2.3.4", "Port": 5}}
    assert entry["Service"]["EnableTagOverride"] is True
    await agent.deregister(consul, name)


async def test_methods_and_paths_that_are_not_there(consul: Consul, url: str) -> None:
    async with aiohttp.ClientSession(url) as session:
        async with session.post("/v1/agent/service/register", data=b"{}") as response:
            assert (response.status, response.headers["Allow"]) == (405, "OPTIONS,PUT")
        async with session.get("/v1/there-is-no-such-thing") as response:
            assert response.status == 404
        async with session.get("/v1/acl/tokens") as response:
            assert (response.status, await response.text()) == (401, "ACL support disabled")


async def test_answers_carry_what_clients_look_for(url: str, consul: Consul, name: str) -> None:
    await kv.put(consul, name, b"x" * 4096)
    async with aiohttp.ClientSession(url) as session:
        for path in ("/v1/catalog/services", "/v1/health/state/any", f"/v1/kv/{name}", f"/v1/kv/{name}-absent"):
            async with session.get(path) as response:
                assert int(response.headers["X-Consul-Index"]) >= 1, path
                assert response.headers["X-Consul-KnownLeader"] == "true", path
        async with session.get(f"/v1/kv/{name}", headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
    assert ":" in await status.leader(consul)
    assert await status.peers(consul) == (await status.leader(consul),)


async def test_requests_in_one_packet_are_answered_in_order(url: str, consul: Consul, name: str) -> None:
    await kv.put(consul, name, b"here")
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    ask = "GET {} HTTP/1.1\r\nHost: x\r\n\r\n"
    last = "GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    writer.write((ask.format(f"/v1/kv/{name}?raw") + ask.format("/v1/catalog/datacenters") + last).encode())
    async with asyncio.timeout(5):
        answer = (await reader.read()).decode()
    writer.close()
    assert answer.count("HTTP/1.1 200 OK") == 3
    assert answer.index("here") < answer.index('["dc1"]') < answer.rindex("HTTP/1.1")


async def test_a_broken_request_ends_its_connection_and_no_other(url: str, consul: Consul) -> None:
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
    async with asyncio.timeout(5):
        assert b" 400 " in await reader.read()
    writer.close()
    assert await status.leader(consul)
