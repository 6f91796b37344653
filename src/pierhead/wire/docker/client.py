"""The connection to one engine."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import aiohttp

from pierhead.kit import errors as kit_errors
from pierhead.wire.docker import errors

OLDEST, NEWEST = (1, 41), (1, 47)
"""Versions of the API that this client speaks: Docker 20.10 has 1.41; Docker 29 refuses what is below 1.44."""
_CONNECTIONS = 100
_KEPT = timedelta(seconds=90)
"""Unused connections: an engine that shuts down goes on to answer on those that it has, and takes no new ones."""

Query = Mapping[str, Any]
"""Values that are not texts are sent as JSON, as the API wants its filters and flags."""


class Engine:
    """The engine at `address` (`unix:///var/run/docker.sock` or `tcp://host:2375`), used as an async context manager.

    Every call raises Unavailable when no engine answers, and what `errors.check` says otherwise.
    """

    def __init__(
        self, address: str, *, timeout: timedelta = timedelta(seconds=60), connections: int = _CONNECTIONS
    ) -> None:
        """`connections` at most at once; 0: as many as there are calls and streams."""
        self.address = address
        self._timeout, self._connections = timeout, connections
        self._session: aiohttp.ClientSession | None = None
        self._version = ""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=self._connector(), read_bufsize=1 << 18)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def get(self, path: str, query: Query | None = None) -> Any:
        return await self._json("GET", path, query)

    async def post(self, path: str, body: Any = None, query: Query | None = None, headers: Query | None = None) -> Any:
        return await self._json("POST", path, query, json=body, headers=headers)

    async def delete(self, path: str, query: Query | None = None) -> Any:
        return await self._json("DELETE", path, query)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: Query | None = None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response whose body is read as it comes, for as long as it comes."""
        if isinstance(options.get("data"), bytes):
            options["data"] = io.BytesIO(options["data"])  # sent in pieces
        limit = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout.total_seconds())
        async with self._request(method, path, query, timeout=limit, **options) as response:
            yield response

    async def _json(self, method: str, path: str, query: Query | None, **options: Any) -> Any:
        limit = aiohttp.ClientTimeout(total=self._timeout.total_seconds())
        async with self._request(method, path, query, timeout=limit, **options) as response:
            body = await response.read()
        return json.loads(body) if body.strip() else None

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, query: Query | None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("use the client as an async context manager")
        host = self.address.removeprefix("tcp://") if self.address.startswith("tcp://") else "engine"
        try:
            if not self._version:
                self._version = await self._agreed(self._session, host)
            async with self._session.request(
                method, f"http://{host}/{self._version}{path}", params=_params(query or {}), **options
            ) as response:
                if response.status >= 400:
                    errors.check(response.status, await response.read(), f"{method} {path}")
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._version = ""  # another engine may answer next time
            raise kit_errors.Unavailable(
                f"The engine at {self.address} did not answer {method} {path}: {str(error) or type(error).__name__}",
                hint="Check that it runs: `docker info`, and the setting engine.socket.",
            ) from error

    async def _agreed(self, session: aiohttp.ClientSession, host: str) -> str:
        limit = aiohttp.ClientTimeout(total=self._timeout.total_seconds())
        async with session.get(f"http://{host}/version", timeout=limit) as response:
            body = await response.read()
        errors.check(response.status, body, "GET /version")
        value = json.loads(body)
        return agreed(value["ApiVersion"], value.get("MinAPIVersion") or "")

    def _connector(self) -> aiohttp.BaseConnector:
        if self.address.startswith("unix://"):
            path = self.address.removeprefix("unix://")
            return aiohttp.UnixConnector(path, limit=self._connections, keepalive_timeout=_KEPT.total_seconds())
        return aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEPT.total_seconds())


def agreed(newest: str, oldest: str) -> str:
    """The prefix of the newest version that both speak: `v1.41`. Raises: Conflict."""
    best = min(NEWEST, _number(newest))
    if best < OLDEST or best < _number(oldest):
        raise kit_errors.Conflict(
            f"The engine speaks the API {oldest or newest} to {newest}, Pierhead {_text(OLDEST)} to {_text(NEWEST)}.",
            hint="Docker 20.10 and newer work.",
        )
    return f"v{_text(best)}"


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major or 0), int(minor or 0)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _params(query: Query) -> dict[str, str]:
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in query.items()}
