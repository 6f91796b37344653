"""Routes that people write through Pierhead, to services that are no apps: refused whole, or carried out at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.gateway_lab import Lab, lab, until

from pierhead.control import routes
from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.kit import errors
from pierhead.model.keys import Keys
from pierhead.settings import Settings
from pierhead.store import session
from pierhead.wire.docker.client import Engine
from pierhead.wire.gateway.client import Gateways

BILLING = {"service": "billing", "hosts": ["billing.test"]}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as found:
        await found.start()
        yield found


async def test_a_route_of_a_person_is_carried_out_until_it_is_removed(gateway: Lab, tmp_path: Path) -> None:
    await gateway.register("billing", await gateway.backend("vm"))
    await gateway.route("shop-dev", service="shop-dev", hosts=["shop.test"], owner="pier")
    async with session.opened(tmp_path / "pier.db") as store, Gateways() as gateways:
        keys = Keyring(Keys(bytes(32)))
        engine = Engine("unix:///nowhere")
        ctx = Context(store, Settings(home=tmp_path), "server-1", keys, engine, gateway.catalog, gateways, keys)
        await routes.put(ctx, "billing", BILLING)
        await routes.put(ctx, "billing", BILLING)  # the same again is no conflict
        await until(lambda: gateway.answers("billing.test", 200, "vm"))
        await until(lambda: is_listed(ctx, "billing", "ready"))

        wrong = await refused(
            errors.Invalid, ctx, "billing", BILLING | {"hosts": ["a b"], "stick": True, "owner": "pier"}
        )
        assert [problem.place for problem in wrong.problems] == ["stick", "owner"]
        taken = await refused(errors.Conflict, ctx, "mine", {"service": "mine", "hosts": ["shop.test", "new.test"]})
        assert [str(problem) for problem in taken.problems] == [
            "shop.test/: leads to shop-dev by the route shop-dev already"
        ]
        kept = await refused(errors.Conflict, ctx, "shop-dev", BILLING)
        assert kept.message == "The route shop-dev follows from the releases of shop-dev and is kept by Pierhead."
        other = await refused(errors.Conflict, ctx, "billing", BILLING | {"paths": ["/x"]})
        assert "--replace" in other.hint
        await routes.put(ctx, "billing", BILLING | {"paths": ["/x"]}, replace_it=True)
        await until(lambda: gateway.answers("billing.test", 404))
        assert await gateway.answers("billing.test", 200, "vm", "/x")

        with pytest.raises(errors.Conflict, match="kept by Pierhead"):
            await routes.remove(ctx, "shop-dev")
        await routes.remove(ctx, "billing")
        await until(lambda: gateway.answers("billing.test", 404, path="/x"))
        with pytest.raises(errors.NotFound, match="no route billing"):
            await routes.remove(ctx, "billing")


async def refused(kind: type[errors.PierError], ctx: Context, name: str, told: dict[str, Any]) -> errors.PierError:
    with pytest.raises(kind) as caught:
        await routes.put(ctx, name, told)
    return caught.value


async def is_listed(ctx: Context, name: str, state: str) -> bool:
    return any((one.name, one.state) == (name, state) for one in await routes.listing(ctx))
