"""What is answered, word by word: refusals, filters, shapes, headers, transactions beyond keys, events.

Where Consul 1.8 answers 500 to what is the client's own mistake, newer versions and the embedded catalog answer 400 or
404 with the same words.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from pierhead.wire.consul import agent, catalog
from pierhead.wire.consul.client import Consul

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOBODY = "00000000-0000-4000-8000-000000000000"
UNKNOWN_OR_DONE = (404, 200)
"""Removing what is not there: newer versions say that, 1.8 does not."""
EVALUATOR = "Failed to create boolean expression evaluator: "
DECODE = "Request decode failed: "
VALUE = "dg=="


@pytest_asyncio.fixture(loop_scope="session")
async def asking(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url) as session:
        yield session


async def answer(asking: aiohttp.ClientSession, asked: str, body: object = None) -> tuple[int, str]:
    method, path = asked.split(" ", 1)
    data = json.dumps(body) if isinstance(body, dict | list) else body
    async with asking.request(method, path, data=data) as response:
        return response.status, (await response.text()).strip()


@pytest.mark.parametrize(
    ("asked", "body", "status", "text"),
    [
        ("PUT /v1/agent/service/register", b"nonsense", 400, f"{DECODE}invalid character 'o' in literal null (expecti"),
        ("PUT /v1/agent/service/register", b"", 400, f"{DECODE}EOF"),
        ("PUT /v1/agent/service/register", b'{"Name":', 400, f"{DECODE}unexpected EOF"),
        ("PUT /v1/agent/service/register", b'["list"]', 400, f"{DECODE}json: cannot unmarshal array into Go value"),
        ("PUT /v1/agent/service/register", {"ID": "no"}, 400, "Missing service name"),
        ("PUT /v1/agent/service/register", {"Name": "x", "Bogus": 1}, 400, f'{DECODE}json: unknown field "Bogus"'),
        (
            "PUT /v1/agent/service/register",
            {"Name": "x", "Port": "80"},
            400,
            f"{DECODE}json: cannot unmarshal string into Go struct field .Port of type int",
        ),
        (
            "PUT /v1/agent/service/register",
            {"Name": "x", "Tags": "a"},
            400,
            f"{DECODE}json: cannot unmarshal string into Go struct field .Tags of type []string",
        ),
        (
            "PUT /v1/agent/service/register",
            {"Name": "x", "Meta": {"a b": "c"}},
            400,
            "Invalid Service Meta: Couldn't load metadata pair ('a b', 'c'): Key contains invalid characters",
        ),
        (
            "PUT /v1/agent/service/register",
            {"Name": "x", "Meta": {"": "c"}},
            400,
            "Invalid Service Meta: Couldn't load",
        ),
        ("PUT /v1/agent/service/register", {"Name": "x", "Address": "0.0.0.0"}, 400, "Invalid service address"),
        (
            "PUT /v1/agent/service/register",
            {"Name": "x", "Weights": {"Passing": 1, "Warning": -1}},
            400,
            "Invalid Weights: Warning must be greater or equal than 0",
        ),
        (
            "PUT /v1/agent/service/register",
            {"Name": "x", "Check": {"HTTP": "http://127.0.0.1:1"}},
            400,
            "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks",
        ),
        (
            "PUT /v1/agent/service/register",
            {"Name": "x", "Check": {"TTL": "1h", "Status": "fine"}},
            400,
            "Status for checks must 'passing', 'warning', 'critical'",
        ),
        ("PUT /v1/agent/service/deregister/absent", None, UNKNOWN_OR_DONE, ""),
        ("PUT /v1/agent/service/maintenance/absent?enable=true", None, 404, 'No service registered with ID "absent"'),
        ("PUT /v1/agent/maintenance?enable=maybe", None, 400, 'Invalid value for enable: "maybe"'),
        ("PUT /v1/agent/check/register", {"TTL": "1h"}, 400, "Missing check name"),
        (
            "PUT /v1/agent/check/register",
            {"Name": "n", "TTL": "1h", "ServiceID": "absent"},
            404,
            'ServiceID "absent" does not exist',
        ),
        ("PUT /v1/agent/check/pass/absent", None, 404, 'CheckID "absent" does not have associated TTL'),
        ("PUT /v1/agent/check/update/absent", {"Status": "fine"}, 400, "Invalid check status: 'fine'"),
        ("PUT /v1/catalog/register", {"Address": "10.0.0.1"}, 400, "Must provide node"),
        ("PUT /v1/catalog/register", {"Node": "n"}, 400, "Must provide address if SkipNodeUpdate is not set"),
        (
            "PUT /v1/catalog/register",
            {"Node": "n", "Address": "10.0.0.1", "ID": "n"},
            400,
            "Bad node ID: uuid string is wrong length",
        ),
        ("PUT /v1/catalog/register", {"Node": "n", "Address": "10.0.0.1", "Service": {"ID": "a"}}, 400, "Must provide"),
        (
            "PUT /v1/catalog/register",
            {
                "Node": "probe",
                "Address": "127.0.0.1",
                "SkipNodeUpdate": True,
                "Check": {"ServiceID": "no", "Name": "c"},
            },
            400,
            'failed inserting check: Missing service registration on node "probe"',
        ),
        (
            "PUT /v1/catalog/register",
            {"Node": "n", "Address": "10.0.0.1", "Datacenter": "dc9"},
            500,
            "No path to datac",
        ),
        ("GET /v1/health/service/x?dc=dc9", None, 500, "No path to datacenter"),
        ("GET /v1/catalog/service/", None, 400, "Missing service name"),
        ("GET /v1/health/service/x?passing=maybe", None, 400, "Invalid value for ?passing"),
        ("GET /v1/catalog/services?index=x", None, 400, "Invalid index"),
        ("GET /v1/catalog/services?wait=5", None, 400, "Invalid wait time"),
        (
            "GET /v1/catalog/services?stale&consistent",
            None,
            400,
            "Cannot specify ?stale with ?consistent, conflicting semantics.",
        ),
        ("PUT /v1/kv/", b"v", 400, "Missing key name"),
        ("PUT /v1/kv/x?cas=abc", b"v", 400, 'strconv.ParseUint: parsing "abc": invalid syntax'),
        ("PUT /v1/kv/x?flags=-1", b"v", 400, 'strconv.ParseUint: parsing "-1": invalid syntax'),
        ("PUT /v1/kv/x?flags=99999999999999999999", b"v", 400, 'strconv.ParseUint: parsing "99999999999999999999": va'),
        ("PUT /v1/kv/x?cas=1&acquire=y", b"v", 400, "Conflicting flags: acquire=y&cas=1"),
        ("PUT /v1/kv/x?acquire=y", b"v", 400, "failed session lookup: index error: UUID must be 36 characters"),
        (f"PUT /v1/kv/x?acquire={NOBODY}", b"v", 404, f'invalid session "{NOBODY}"'),
        ("PUT /v1/kv/x", b"v" * (1 << 20), 413, "Request body(1048576 bytes) too large, max size: 524288 bytes. See "),
        (
            "PUT /v1/session/create",
            {"TTL": "1s"},
            400,
            "Invalid Session TTL '1000000000', must be between [10s=24h0m0s]",
        ),
        ("PUT /v1/session/create", {"Behavior": "x"}, 400, "Invalid Behavior setting 'x'"),
        ("PUT /v1/session/create", {"Node": "absent"}, 400, "Missing node registration"),
        ("PUT /v1/session/create", {"Checks": ["absent"]}, 400, "Missing check 'absent' registration"),
        (f"PUT /v1/session/renew/{NOBODY}", None, 404, f"Session id '{NOBODY}' not found"),
        (f"PUT /v1/session/destroy/{NOBODY}", None, 200, "true"),
        ("GET /v1/session/info/x", None, 400, "failed session lookup: index error: UUID must be 36 characters"),
        ("PUT /v1/txn", {}, 400, "Failed to parse body: json: cannot unmarshal object into Go value of type api.TxnOp"),
        (
            "PUT /v1/txn",
            [{"KV": {"Verb": "set", "Key": "x", "Value": "!"}}],
            400,
            "Failed to parse body: illegal base64",
        ),
        ("PUT /v1/event/fire/", None, 400, "Missing name"),
        ("PUT /v1/event/fire/x?tag=t", None, 400, "Cannot provide tag filter without service filter"),
        ("PUT /v1/event/fire/x?node=%5B", None, 400, "Invalid node filter: error parsing regexp: missing "),
        ("PUT /v1/event/fire/x", b"x" * 600, 400, "user event exceeds configured limit of 512 bytes before encoding"),
        ("POST /v1/txn", None, 405, "method POST not allowed"),
        ("GET /v1/acl/tokens", None, 401, "ACL support disabled"),
        ("GET /v1/connect/ca/roots", None, 500, "Connect must be enabled in order to use this endpoint"),
        ("GET /v1/discovery-chain/x", None, 500, "Connect must be enabled in order to use this endpoint"),
        ("GET /v1/config/bogus", None, 400, "invalid config entry kind: bogus"),
        ("GET /v1/config/service-defaults/x", None, 404, 'Config entry not found for "service-defaults" / "x"'),
        ("GET /v1/connect/intentions/match?by=source&name=x", None, 200, '{"x":null}'),
        ("GET /v1/operator/autopilot/configuration", None, 200, '{"CleanupDeadServers":true,'),
        ("GET /v1/catalog/node-services/absent", None, 200, '{"Node":null,"Services":null}'),
        (
            "GET /v1/agent/health/service/id/absent",
            None,
            404,
            '{"AggregatedStatus":"critical","Service":null,"Checks":',
        ),
    ],
)
async def test_refusals_are_consul_s(
    asking: aiohttp.ClientSession, asked: str, body: Any, status: int | tuple[int, ...], text: str
) -> None:
    found, said = await answer(asking, asked, body)
    wanted = status if isinstance(status, tuple) else (status, 500) if status in (400, 404) else (status,)
    assert found in wanted, said
    assert text in said
    assert said.startswith(text) or found == 500


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(url: str) -> AsyncIterator[str]:
    """The name of a service with two instances, of which only the first has anything."""
    async with Consul(url) as consul:
        full = {
            "Name": "two",
            "ID": "two-1",
            "Port": 80,
            "Tags": ["a", "b"],
            "Meta": {"k": "v"},
            "Address": "10.0.0.1",
            "Weights": {"Passing": 5, "Warning": 1},
            "EnableTagOverride": True,
            "Check": {"TTL": "1h", "Status": "passing"},
        }
        await consul.put("/v1/agent/service/register", full)
        await consul.put("/v1/agent/service/register", {"Name": "two", "ID": "two-2", "Port": 81})
        yield "two"
        for service in ("two-1", "two-2"):
            await agent.deregister(consul, service)


FIRST, SECOND, BOTH = ["two-1"], ["two-2"], ["two-1", "two-2"]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("Service.Port == 80", FIRST),
        ("Service.Port != 80", SECOND),
        ('"a" in Service.Tags', FIRST),
        ("Service.Tags not contains a", SECOND),
        ("Service.Tags is empty", SECOND),
        ("Service.Meta.k == v", FIRST),
        ("Service.Meta.absent != v", BOTH),
        ('Service.Meta["k"] != v', SECOND),
        ("k not in Service.Meta", SECOND),
        ("Service.Meta is not empty", FIRST),
        ('Service.ID matches "1$"', FIRST),
        ('"-2" in Service.ID', SECOND),
        ("Service.EnableTagOverride == true", FIRST),
        ("Service.Weights.Passing == 5", FIRST),
        ("Service.TaggedAddresses.lan_ipv4.Port == 80", FIRST),
        ("lan_ipv4 in Service.TaggedAddresses", FIRST),
        ('Service.Kind == ""', BOTH),
        ("Node.Node == probe", BOTH),
        ("Node.Meta.rack == 1", []),
        ("Checks.Type == ttl", FIRST),
        ("Checks is not empty", BOTH),
        ("not Checks.CheckID == serfHealth", []),
        ("Service.Port == 80 or Service.Port == 81 and Service.ID == nobody", FIRST),
        ("(Service.Port == 80 or Service.Port == 81) and not (Service.ID == `two-1`)", SECOND),
        ("Bogus == 1", 'Selector "Bogus" is not valid'),
        ("Service.Meta.k.z == 1", 'Selector "Service.Meta.k.z" is not valid'),
        ("Checks.Definition.HTTP == x", 'Selector "Checks.Definition" is not valid'),
        (
            "Service.Port == x",
            'Failed to coerce value "x" for selector "Service.Port": strconv.ParseInt: parsing "x": ',
        ),
        ("Service.EnableTagOverride == yes", 'Failed to coerce value "yes" for selector "Service.EnableTagOverride": '),
        ("Service.Port matches 8", 'Invalid match operator "Matches" for selector "Service.Port"'),
        ("Service.Tags == a", 'Invalid match operator "Equal" for selector "Service.Tags"'),
        ("Service.Address is empty", 'Invalid match operator "Is Empty" for selector "Service.Address"'),
        ('Service.ID matches "("', 'Failed to compile regular expression "(": '),
        ("Service.Port == 80 and", ""),
        ("Service.Port = 80", ""),
        ("(Service.Port == 80", ""),
    ],
)
async def test_a_filter_finds_or_says_why_it_cannot(
    asking: aiohttp.ClientSession, two: str, expression: str, found: list[str] | str
) -> None:
    async with asking.get(f"/v1/health/service/{two}", params={"filter": expression}) as response:
        if isinstance(found, str):
            assert response.status in (400, 500)
            assert (await response.text()).startswith(EVALUATOR + found)
        else:
            assert [entry["Service"]["ID"] for entry in await response.json()] == found


SERVICE = {"ID", "Service", "Tags", "Meta", "Port", "Address", "Weights", "EnableTagOverride"}
NODE = {"ID", "Node", "Address", "Datacenter", "TaggedAddresses", "Meta", "CreateIndex", "ModifyIndex"}
CHECK = {"Node", "CheckID", "Name", "Status", "Notes", "Output", "ServiceID", "ServiceName", "ServiceTags", "Type"}


@pytest.mark.parametrize(
    ("path", "steps", "fields"),
    [
        ("/v1/agent/services", ["two-1"], SERVICE),
        ("/v1/agent/service/two-1", [], SERVICE | {"ContentHash", "TaggedAddresses"}),
        ("/v1/agent/checks", ["service:two-1"], CHECK),
        ("/v1/agent/members", [0], {"Name", "Addr", "Port", "Tags", "Status", "ProtocolCur", "DelegateCur"}),
        ("/v1/agent/self", [], {"Config", "Member", "Stats", "Meta", "Coord"}),
        ("/v1/agent/health/service/name/two", [0], {"AggregatedStatus", "Service", "Checks"}),
        ("/v1/agent/health/service/id/two-1", ["Checks", 0], CHECK),
        ("/v1/health/service/two", [0], {"Node", "Service", "Checks"}),
        ("/v1/health/service/two", [0, "Node"], NODE),
        ("/v1/health/service/two", [0, "Service"], SERVICE | {"TaggedAddresses", "Proxy", "Connect", "CreateIndex"}),
        ("/v1/health/service/two", [0, "Checks", 0], CHECK | {"Definition", "CreateIndex", "ModifyIndex"}),
        ("/v1/health/state/passing", [0], CHECK),
        ("/v1/health/node/probe", [0], CHECK),
        ("/v1/health/checks/two", [0], CHECK),
        ("/v1/catalog/nodes?near=_agent", [0], NODE),
        ("/v1/catalog/node/probe", ["Services", "two-1"], SERVICE),
        ("/v1/catalog/node-services/probe", ["Services", 0], SERVICE),
        (
            "/v1/catalog/service/two",
            [0],
            {"ID", "Node", "NodeMeta", "ServiceID", "ServiceName", "ServiceTags", "ServiceMeta", "ServicePort"}
            | {"ServiceAddress", "ServiceWeights", "ServiceEnableTagOverride", "ServiceProxy", "Datacenter"},
        ),
        ("/v1/operator/raft/configuration", ["Servers", 0], {"ID", "Node", "Address", "Leader", "Voter"}),
    ],
)
async def test_shapes_are_consul_s(
    asking: aiohttp.ClientSession, two: str, path: str, steps: list[Any], fields: set[str]
) -> None:
    async with asking.get(path) as response:
        found = await response.json()
    for step in steps:
        found = found[step]
    assert fields <= found.keys()


@pytest.mark.parametrize(
    ("parameter", "header", "value"),
    [
        ("", "X-Consul-Effective-Consistency", "leader"),
        ("stale", "X-Consul-Effective-Consistency", "stale"),
        ("consistent", "X-Consul-Effective-Consistency", "consistent"),
        ("dc=dc1", "X-Consul-LastContact", "0"),
    ],
)
async def test_headers_say_how_the_answer_was_read(
    asking: aiohttp.ClientSession, two: str, parameter: str, header: str, value: str
) -> None:
    async with asking.get(f"/v1/health/service/{two}?passing&{parameter}") as response:
        assert response.headers[header] == value


async def test_what_is_cached_says_how_old_it_is(asking: aiohttp.ClientSession, two: str) -> None:
    for _ in range(2):
        async with asking.get(f"/v1/health/service/{two}?cached") as response:
            assert len(await response.json()) == 2
            found = response.headers["X-Cache"], response.headers.get("Age", "0")
    assert found == ("HIT", "0")


async def test_a_check_that_others_run_keeps_its_definition(consul: Consul, name: str) -> None:
    definition = {"TCP": "10.0.0.1:1", "Interval": "10s", "Timeout": "1s"}
    check = {"CheckID": "c", "Name": "c", "Status": "passing", "Definition": definition}
    await catalog.register(consul, {"Node": name, "Address": "10.0.0.1", "Check": check})
    (found,) = (await consul.get(f"/v1/health/node/{name}")).json()
    assert {key: found["Definition"][key] for key in definition} == definition
    assert found["Type"] == "tcp"
    await catalog.deregister(consul, {"Node": name})


def operations(name: str) -> list[tuple[list[dict[str, Any]], int, list[str]]]:
    """Transactions one after the other, the status of each, and what it says went wrong."""
    node = {"Node": name, "Address": "10.0.0.1"}
    service = {"ID": "s", "Service": name, "Port": 3}
    check = {"Node": name, "CheckID": "c", "Name": "c", "Status": "passing", "ServiceID": "s"}
    made = [
        {"Node": {"Verb": "set", "Node": node}},
        {"Service": {"Verb": "set", "Node": name, "Service": service}},
        {"Check": {"Verb": "set", "Check": check}},
    ]
    stale = {"ModifyIndex": 1}
    return [
        (made, 200, []),
        ([{**each, kind: {**each[kind], "Verb": "get"}} for each in made for kind in each], 200, []),
        ([{"Node": {"Verb": "cas", "Node": node | stale}}], 409, [f'failed to set node "{name}", index is stale']),
        (
            [{"Service": {"Verb": "cas", "Node": name, "Service": service | stale}}],
            409,
            [f'failed to set service "s" on node "{name}", index is stale'],
        ),
        (
            [{"Check": {"Verb": "delete-cas", "Check": check | stale}}],
            409,
            [f'failed to delete check "c" on node "{name}", index is stale'],
        ),
        (
            [{"Node": {"Verb": "get", "Node": {"Node": "absent"}}}, {"KV": {"Verb": "bogus", "Key": "k"}}],
            409,
            ['node "absent" doesn\'t exist', 'unknown KV verb "bogus"'],
        ),
        ([{"Service": {"Verb": "bogus", "Node": name, "Service": service}}], 409, ['unknown Service verb "bogus"']),
        ([{"Service": {"Verb": "set", "Node": "absent", "Service": service}}], 409, ["Missing node registration"]),
        ([{"Node": {"Verb": "set", "Node": {"Address": "10.0.0.1"}}}], 409, ["Must provide node"]),
        ([{"KV": {"Verb": "set", "Key": "", "Value": VALUE}}], 409, ["Must provide key"]),
        ([{"KV": {"Verb": "lock", "Key": "k", "Value": VALUE}}], 409, ["missing session"]),
        (
            [{"KV": {"Verb": "lock", "Key": "k", "Value": VALUE, "Session": NOBODY}}],
            409,
            [f'invalid session "{NOBODY}"'],
        ),
        (
            [{"KV": {"Verb": "check-session", "Key": "absent", "Session": NOBODY}}],
            409,
            ['failed to check session, key "absent" doesn\'t exist'],
        ),
        ([{"Check": {"Verb": "delete", "Check": check}}], 200, []),
        ([{"Service": {"Verb": "delete", "Node": name, "Service": service}}], 200, []),
        ([{"Node": {"Verb": "delete", "Node": node}}], 200, []),
    ]


async def test_a_transaction_may_hold_nodes_services_and_checks(asking: aiohttp.ClientSession, name: str) -> None:
    for body, status, wrong in operations(name):
        found, said = await answer(asking, "PUT /v1/txn", body)
        assert found == status, said
        assert [error["What"] for error in json.loads(said)["Errors"] or ()] == wrong
    assert (await answer(asking, f"GET /v1/catalog/node/{name}"))[1] == "null"


async def test_an_event_reaches_those_it_is_for(asking: aiohttp.ClientSession, consul: Consul, name: str) -> None:
    await agent.register(consul, agent.Registration(name, tags=("blue",)))
    fired = [
        "",
        "?node=^probe$",
        f"?service={name}",
        f"?service={name}&tag=blue",
        "?node=other",
        f"?service={name}&tag=q",
    ]
    for number, query in enumerate(fired):
        found, said = await answer(asking, f"PUT /v1/event/fire/{name}-{number}{query}", b"payload")
        assert (found, json.loads(said)["Payload"]) == (200, "cGF5bG9hZA==")
    seen: set[str] = set()
    index = 0
    while not {f"{name}-{number}" for number in range(4)} <= seen:
        got = await consul.get("/v1/event/list", {"wait": "2s", "index": str(index)})
        seen, index = {event["Name"] for event in got.json()}, got.index
    assert not {f"{name}-4", f"{name}-5"} & seen
    await agent.deregister(consul, name)
