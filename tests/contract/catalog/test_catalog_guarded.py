"""Who may ask, and for what: https with a private authority, a root token, and a token that may do less."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from pierhead.boot import catalog as boot
from pierhead.catalog import server
from pierhead.kit import errors
from pierhead.settings import load
from pierhead.testing import consul as real
from pierhead.testing.authority import Authority
from pierhead.wire.consul import agent, catalog, changes, health, kv, session, status
from pierhead.wire.consul.client import Consul
from pierhead.wire.consul.tls import Tls

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = "0b5e2d4c-9f3a-4c1e-8a67-5d2f1e9b7c30"
SCOPED = "7d1f6a52-3e8b-4b0d-9c44-1a2b3c4d5e6f"
RULES: Mapping[str, Mapping[str, str]] = {
    "key_prefix": {"app/": "write", "ro/": "read"},
    "key": {"app/secret": "deny"},
    "service_prefix": {"web": "write", "db": "read"},
    "node_prefix": {"": "read"},
    "session_prefix": {"": "read"},
    "event_prefix": {"deploy": "write"},
}
LONG = timedelta(minutes=10)
SESSION = "0b5e2d4c-9f3a-4c1e-8a67-ffffffffffff"


@dataclass(frozen=True)
class Guarded:
    """A catalog that asks who is there."""

    url: str
    tls: Tls

    def client(self, token: str) -> Consul:
        return Consul(self.url, token, tls=self.tls)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(kind: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    folder = tmp_path_factory.mktemp(f"guarded-{kind}")
    authority = Authority()
    ca, served = authority.write(folder), authority.make("127.0.0.1", "server.dc1.consul").write(folder, "server")
    tls = Tls(str(ca), *map(str, authority.make("client").write(folder, "client")))
    if kind == "real":
        guard = real.Guard(ROOT, ca, *served)
        async with real.serving(folder, guard) as running:
            found = Guarded(running.url, tls)
            await _grant(found)
            yield await _filled(found)
        return
    async with server.serving(_options(folder, ca, served)) as address:
        yield await _filled(Guarded(address.url, tls))


def _options(folder: Path, ca: Path, served: tuple[Path, Path]) -> server.Options:
    """The embedded server as the settings file says."""
    (folder / "root").write_text(f"{ROOT}\n")
    rules = "\n".join(f"{kind} = {_inline(named)}" for kind, named in RULES.items())
    (folder / "grants.toml").write_text(f'[[token]]\nname = "app"\nsecret = "{SCOPED}"\n{rules}\n')
    (folder / "pier.toml").write_text(
        f'[catalog]\ntoken_file = "{folder / "root"}"\ngrants_file = "{folder / "grants.toml"}"\n'
        f'server_cert_file = "{served[0]}"\nserver_key_file = "{served[1]}"\nserver_client_ca_file = "{ca}"\n'
    )
    settings = load.load(folder / "pier.toml", {}, {"agent.node_name": "probe"})
    assert settings.catalog_url.startswith("https://")
    return replace(boot.options(settings), port=0, data=folder / "data")


def _inline(named: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f'"{name}" = "{level}"' for name, level in named.items()) + " }"


async def _grant(place: Guarded) -> None:
    rules = {kind: {name: {"policy": level} for name, level in named.items()} for kind, named in RULES.items()}
    async with place.client(ROOT) as root:
        await root.put("/v1/acl/policy", {"Name": "app", "Rules": json.dumps(rules)})
        await root.put("/v1/acl/token", {"SecretID": SCOPED, "Policies": [{"Name": "app"}]})


async def _filled(place: Guarded) -> Guarded:
    async with place.client(ROOT) as root:
        for name in ("web", "db", "other"):
            check = agent.Check(ttl=LONG, status="passing")
            await agent.register(root, agent.Registration(name, f"{name}-1", checks=(check,)))
        for key in ("app/x", "app/secret", "ro/y", "zz"):
            assert await kv.put(root, key, b"v")
    return place


@pytest.mark.parametrize(
    ("asked", "body", "answer"),
    [
        ("GET /v1/status/leader", None, "200"),
        ("GET /v1/agent/self", None, "403 Permission denied"),
        ("GET /v1/agent/service/other-1", None, "403 Permission denied"),
        ("GET /v1/agent/service/web-1", None, "200"),
        ("GET /v1/agent/health/service/id/other-1", None, "403 Permission denied"),
        ("GET /v1/agent/health/service/name/other", None, "403 Permission denied"),
        ("PUT /v1/agent/service/register", {"Name": "web2"}, "200"),
        ("PUT /v1/agent/service/register", {"Name": "other"}, "403 Permission denied: Missing service:write on other"),
        ("PUT /v1/agent/service/register", {"Name": "db"}, "403 Permission denied: Missing service:write on db"),
        ("PUT /v1/agent/service/deregister/web2", None, "200"),
        ("PUT /v1/agent/service/deregister/other-1", None, "403 Permission denied: Missing service:write on other"),
        ("PUT /v1/agent/service/maintenance/other-1?enable=true", None, "403 Permission denied: Missing service:write"),
        ("PUT /v1/agent/maintenance?enable=true", None, "403 Permission denied"),
        ("PUT /v1/agent/check/pass/service:web-1", None, "200"),
        ("PUT /v1/agent/check/fail/service:other-1", None, "403 Permission denied: Missing service:write on other"),
        ("PUT /v1/agent/check/register", {"Name": "n", "TTL": "1h"}, "403 Permission denied: Missing node:write on"),
        ("PUT /v1/agent/check/deregister/service:other-1", None, "403 Permission denied: Missing service:write on"),
        ("PUT /v1/catalog/register", {"Node": "n", "Address": "10.0.0.1"}, "403 Permission denied"),
        ("PUT /v1/catalog/deregister", {"Node": "n"}, "403 Permission denied"),
        ("PUT /v1/catalog/deregister", {"Node": "probe", "ServiceID": "other-1"}, "403 Permission denied"),
        ("GET /v1/kv/app/x", None, "200"),
        ("GET /v1/kv/app/none", None, "404"),
        ("GET /v1/kv/app/secret", None, "403 Permission denied"),
        ("GET /v1/kv/zz", None, "403 Permission denied"),
        ("PUT /v1/kv/ro/y", "1", "403 Permission denied"),
        ("PUT /v1/kv/app/y", "1", "200 true"),
        ("DELETE /v1/kv/zz", None, "403 Permission denied"),
        ("DELETE /v1/kv/app/?recurse", None, "403 Permission denied"),
        ("PUT /v1/session/create", {}, "403 Permission denied"),
        (f"PUT /v1/session/destroy/{SESSION}", None, "200 true"),
        ("PUT /v1/event/fire/deploy", None, "200"),
        ("PUT /v1/event/fire/other", None, "403 Permission denied"),
        ("GET /v1/operator/raft/configuration", None, "403 Permission denied"),
        ("PUT /v1/txn", [{"KV": {"Verb": "set", "Key": "zz", "Value": ""}}], '409 {"Results":null,"Errors":[{"OpIn'),
        ("PUT /v1/txn", [{"KV": {"Verb": "get", "Key": "zz"}}], '200 {"Results":[],"Errors":null'),
        ("PUT /v1/txn", [{"Node": {"Verb": "set", "Node": {"Node": "n", "Address": "10.0.0.1"}}}], "409"),
    ],
)
async def test_a_token_may_do_what_its_rules_say(guarded: Guarded, asked: str, body: object, answer: str) -> None:
    method, path = asked.split(" ")
    data = body if isinstance(body, str) else json.dumps(body) if body is not None else None
    connector = aiohttp.TCPConnector(ssl=guarded.tls.context())
    async with (
        aiohttp.ClientSession(guarded.url, connector=connector, headers={"X-Consul-Token": SCOPED}) as asking,
        asking.request(method, path, data=data) as response,
    ):
        assert f"{response.status} {await response.text()}".startswith(answer)


async def test_lists_leave_out_what_a_token_may_not_see(guarded: Guarded) -> None:
    async with guarded.client(SCOPED) as client:
        assert {"web", "db"} <= (await catalog.services(client))[0].keys()
        assert "other" not in (await catalog.services(client))[0]
        assert sorted(await agent.services(client)) == ["db-1", "web-1"]
        assert sorted(await agent.checks(client)) == ["service:db-1", "service:web-1"]
        assert (await health.service(client, "other"))[0] == ()
        assert [entry.service.id for entry in (await health.service(client, "web"))[0]] == ["web-1"]
        for checks, _ in (await health.state(client), await health.node(client, "probe")):
            assert {check.id for check in checks} == {"serfHealth", "service:db-1", "service:web-1"}
        assert {"app/x", "ro/y"} <= set(await kv.keys(client, ""))
        assert not {"zz", "app/secret"} & {pair.key for pair in (await kv.get_tree(client, ""))[0]}
        assert (await consul_services_on(client)) == {"db-1", "web-1"}
        known = await changes.since(client, 1)
        assert known is None or "other" not in known.services
    async with guarded.client(ROOT) as root:
        assert {"other-1", "web-1"} <= (await agent.services(root)).keys()
        held = await session.create(root)
        await session.destroy(root, held)


async def consul_services_on(client: Consul) -> set[str]:
    return set((await client.get("/v1/catalog/node/probe")).json()["Services"])


async def test_what_one_token_was_told_is_not_told_to_another(guarded: Guarded) -> None:
    async with guarded.client(ROOT) as root, guarded.client(SCOPED) as scoped:
        for client, seen in ((root, True), (scoped, False), (root, True)):
            assert ("other" in (await catalog.services(client))[0]) is seen
            assert bool((await health.service(client, "other", passing=True))[0]) is seen


async def test_a_watcher_with_a_token_is_woken(guarded: Guarded) -> None:
    async with guarded.client(SCOPED) as client:
        _, index = await kv.get(client, "app/x")
        await kv.put(client, "app/x", b"changed")
        pair, _ = await kv.get(client, "app/x", index=index, wait=LONG)
        assert pair
        assert pair.value == b"changed"


async def test_who_is_not_known_is_refused(guarded: Guarded) -> None:
    async with guarded.client(SCOPED[::-1]) as stranger:
        with pytest.raises(errors.Denied, match="ACL not found"):
            await health.service(stranger, "web")
        assert await status.leader(stranger)
    async with guarded.client("") as nobody:
        assert await status.leader(nobody)
        with pytest.raises(errors.Denied, match="Permission denied"):
            await kv.get(nobody, "app/x")
        with pytest.raises(errors.Denied, match="Permission denied"):
            await agent.register(nobody, agent.Registration("web"))


@pytest.mark.parametrize("place", ["header", "bearer", "parameter"])
async def test_a_token_is_read_wherever_clients_put_it(guarded: Guarded, place: str) -> None:
    headers = {"header": {"X-Consul-Token": SCOPED}, "bearer": {"Authorization": f"Bearer {SCOPED}"}}.get(place, {})
    query = {"token": SCOPED} if place == "parameter" else {}
    connector = aiohttp.TCPConnector(ssl=guarded.tls.context())
    async with (
        aiohttp.ClientSession(guarded.url, connector=connector, headers=headers) as asking,
        asking.get("/v1/agent/services", params=query) as response,
    ):
        assert sorted(await response.json()) == ["db-1", "web-1"]


async def test_a_client_trusts_only_its_authority_and_must_show_itself(guarded: Guarded, tmp_path: Path) -> None:
    stranger = Authority()
    shown = stranger.make("client").write(tmp_path, "client")
    cases = [
        ("its authority is another", replace(guarded.tls, ca_file=str(stranger.write(tmp_path)))),
        ("the name is another", replace(guarded.tls, name="other.example")),
        ("it shows nothing", Tls(guarded.tls.ca_file)),
        ("it shows another authority's", Tls(guarded.tls.ca_file, *map(str, shown))),
    ]
    for why, tls in cases:
        async with Consul(guarded.url, ROOT, tls=tls) as client:
            with pytest.raises(errors.Unavailable, match=r"catalog\.(ca_file|cert_file|url)"):
                raise AssertionError(f"{why}: {await status.leader(client)}")
    async with Consul(guarded.url, ROOT, tls=replace(guarded.tls, name="server.dc1.consul")) as client:
        assert await status.leader(client)


async def test_files_that_are_no_certificates_are_refused_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nothing")
    for tls in (Tls(str(tmp_path / "absent.pem")), Tls("", str(tmp_path / "bad.pem"), str(tmp_path / "bad.pem"))):
        with pytest.raises(errors.Invalid, match="cannot be used"):
            async with Consul("https://127.0.0.1:1", tls=tls):
                pass
