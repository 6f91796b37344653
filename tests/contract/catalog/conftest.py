"""Every test here runs on the embedded catalog and on a real Consul; what they do alike is the contract."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from pierhead.catalog import server
from pierhead.testing import consul as real
from pierhead.wire.consul.client import Consul

_LEFT_OUT = os.environ.get("PIER_NO_REAL_CONSUL") == "1"


@pytest.fixture(scope="session", params=["embedded", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "real" and _LEFT_OUT:
        pytest.skip("PIER_NO_REAL_CONSUL=1 leaves the real Consul out")
    return str(request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def url(kind: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """One server for all tests of a kind: each test uses names of its own."""
    folder: Path = tmp_path_factory.mktemp(f"catalog-{kind}")
    if kind == "real":
        async with real.serving(folder) as found:
            yield found.url
        return
    options = server.Options(port=0, data=folder, node_name="probe", least_removal=timedelta(milliseconds=200))
    async with server.serving(options) as address:
        yield address.url


@pytest_asyncio.fixture(loop_scope="session")
async def consul(url: str) -> AsyncIterator[Consul]:
    async with Consul(url) as client:
        yield client


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}"
