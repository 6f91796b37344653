"""Routes in the catalog's key-value store: a server that looked long ago does not undo what another one wrote since."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.model.keys import Keys
from pierhead.model.route import Route
from pierhead.release import apply
from pierhead.settings import Settings
from pierhead.store import session
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker.client import Engine
from pierhead.wire.gateway.client import Gateways

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def ctx(consul: Consul, name: str, tmp_path: Path) -> AsyncIterator[Context]:
    async with session.opened(tmp_path / "pier.db") as store:
        settings, keys = Settings(home=tmp_path, cluster=name), Keyring(Keys(bytes(32)))
        yield Context(store, settings, "one", keys, Engine("unix:///nowhere"), consul, Gateways(), keys)


async def held(ctx: Context) -> dict[str, bytes]:
    """The cluster's own routes."""
    return {pair.key: pair.value for pair in await apply.held_routes(ctx) if ctx.settings.cluster in pair.key}


async def test_who_looked_before_another_wrote_leaves_the_routes_alone(ctx: Context) -> None:
    def routes(weight: int, *names: str) -> dict[str, Route]:
        full = [f"{ctx.settings.cluster}-{name}" for name in names]
        return {one: Route(one, one, weights={"v1": weight}, owner=ctx.settings.cluster) for one in full}

    await apply.write_routes(ctx, await apply.held_routes(ctx), routes(10, "a", "b"))
    looked = await apply.held_routes(ctx)
    await apply.write_routes(ctx, looked, routes(50, "a", "c"))
    newest = await held(ctx)
    assert sorted(newest) == [f"pier/routes/{ctx.settings.cluster}-{name}" for name in ("a", "c")]
    await apply.write_routes(ctx, looked, routes(20, "a", "b"))
    await apply.write_routes(ctx, looked, routes(20, "a", "c"))
    assert await held(ctx) == newest
    await apply.write_routes(ctx, await apply.held_routes(ctx), {})
    assert await held(ctx) == {}
