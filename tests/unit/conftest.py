"""A control context on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.model.keys import Keys
from pierhead.settings import Settings
from pierhead.store import session
from pierhead.store.postgresql import Address
from pierhead.testing.postgresql import Running
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker.client import Engine
from pierhead.wire.gateway.client import Gateways


@pytest_asyncio.fixture
async def database(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Path | Address]:
    """An empty one: a file, or of the PostgreSQL that `--postgresql` names by its port and password."""
    told = request.config.getoption("postgresql").split()
    if not told:
        yield tmp_path / "pier.db"
        return
    server = Running(int(told[0]), told[1], tmp_path)
    name = await server.fresh()
    yield Address(server.url(name), server.password)
    await server.drop(name)


@pytest_asyncio.fixture
async def ctx(tmp_path: Path, database: Path | Address) -> AsyncIterator[Context]:
    async with session.opened(database) as store:
        engine, catalog = Engine("unix:///nowhere"), Consul("http://127.0.0.1:9")
        yield Context(
            store,
            Settings(home=tmp_path),
            "server-1",
            Keyring(Keys(bytes(32))),
            engine,
            catalog,
            Gateways(),
            Keyring(Keys(bytes(32))),
        )
