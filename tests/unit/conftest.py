"""A control context on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.model.keys import Keys
from pierhead.settings import Settings
from pierhead.store import session
from pierhead.wire.consul.client import Consul
from pierhead.wire.docker.client import Engine
from pierhead.wire.gateway.client import Gateways


@pytest_asyncio.fixture
async def ctx(tmp_path: Path) -> AsyncIterator[Context]:
    async with session.opened(tmp_path / "pier.db") as store:
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
