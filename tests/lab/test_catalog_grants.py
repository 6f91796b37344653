"""Agent, gateway and resolver do their work with the tokens of docs/guides/catalog-grants.example.toml, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.lab import agent_lab, gateway_lab
from tests.lab.agent_lab import until

from pierhead.catalog import grants, server
from pierhead.kit import errors
from pierhead.model.instance import GATEWAY_SERVICE
from pierhead.resolver import loop as resolver
from pierhead.wire.consul import agent, health, kv
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker import containers

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

EXAMPLE = Path(__file__).parents[2] / "docs" / "guides" / "catalog-grants.example.toml"
GRANTS = grants.read(EXAMPLE.read_text().replace(grants.UNFINISHED, "secret-of-the-lab-"), str(EXAMPLE))
SECRETS = {grant.name: grant.secret for grant in GRANTS}
ROOT = "the-root-of-everything"


@pytest_asyncio.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    options = server.Options(port=0, data=tmp_path / "guarded", node_name="probe", token=ROOT, grants=GRANTS)
    async with server.serving(options) as address:
        yield address.url


async def test_every_part_works_with_a_token_of_its_own(url: str, tmp_path: Path) -> None:
    async with (
        agent_lab.lab(tmp_path / "agent") as machine,
        gateway_lab.lab(tmp_path / "gateway", catalog_url=url, catalog_token=SECRETS["gateways"]) as gateway,
        resolver.serving(resolver.Options(catalog_url=url, token=SECRETS["resolvers"], port=0)) as names,
        Consul(url, ROOT) as root,
    ):
        place = machine.at(url, root)
        await place.start(catalog_token=SECRETS["agents"])
        await gateway.start()
        service = f"web-{place.options.cluster}"
        labels = {"SERVICE_NAME": service, "SERVICE_ROUTE": "web.test/", "SERVICE_CHECK_HTTP": "/"}
        name = await place.container(f"exec busybox {agent_lab.WEB}", labels)
        await place.passes(service)
        await until(lambda: gateway.answers("web.test", 200), what="the gateway sends it requests")

        async def is_named() -> bool:
            return service in names.following.view.services

        await until(is_named, what="the resolver knows it")
        assert len((await health.service(root, GATEWAY_SERVICE, passing=True))[0]) == 1
        await containers.stop(place.engine, name)
        await until(lambda: place.is_gone(service), what="it is deregistered")
        await until(lambda: gateway.answers("web.test", 503), what="the gateway says that there is no instance")
        await place.stop()


@pytest.mark.parametrize("part", ["gateways", "resolvers", "server", "prometheus", "agents"])
async def test_no_part_may_do_what_is_another_s(url: str, part: str) -> None:
    async with Consul(url, SECRETS[part]) as client:
        if part != "agents":
            with pytest.raises(errors.Denied):
                await agent.register(client, agent.Registration("web"))
        if part != "server":
            with pytest.raises(errors.Denied):
                await kv.put(client, "pier/routes/web", b"{}")
        with pytest.raises(errors.Denied):
            await kv.get(client, "secret")
