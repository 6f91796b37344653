"""A control context on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from pierhead.control.context import Context
from pierhead.settings import Settings
from pierhead.store import session


@pytest_asyncio.fixture
async def ctx(tmp_path: Path) -> AsyncIterator[Context]:
    async with session.opened(tmp_path / "pier.db") as store:
        yield Context(store, Settings(home=tmp_path), owner="server-1", key=bytes(32))
