"""Asks gateways what they serve at this moment. Never retries, never remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from pierhead.kit import errors

READY, DRAINING, DOWN = "ready", "draining", "down"
TIMEOUT = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Server:
    """One endpoint as the load balancer has it."""

    id: str
    """The catalog's service id."""
    address: str
    port: int
    release: str
    state: str
    """`ready`, `draining` or `down`."""
    weight: int
    requests: int
    """Open right now: requests, or connections where the port is plain TCP."""


@dataclass(frozen=True, slots=True)
class Count:
    """What went to one release since the gateway's controller started."""

    requests: int = 0
    errors: int = 0
    """Answers of 500 and above."""
    failures: int = 0
    """Requests that were never answered whole."""
    retries: int = 0
    response_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    index: int
    """The catalog's index that the gateway has carried out."""
    servers: tuple[Server, ...]
    releases: Mapping[str, Count] = field(default_factory=dict)


class Gateways:
    """The client for any number of gateways, used as an async context manager.

    A gateway's address is `host:port` or `http://host:port`.
    """

    def __init__(self, *, timeout: timedelta = TIMEOUT) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds())
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def status(self, address: str) -> dict[str, Any]:
        """What the gateway says of itself, as it says it. Raises: Unavailable."""
        code, value = await self._get(address, "/v1/status")
        if code != 200:
            raise _unexpected(address, code, value)
        return value

    async def routes(self, address: str) -> list[dict[str, Any]]:
        """Every route as the gateway carries it out, as it says it. Raises: Unavailable."""
        code, value = await self._get(address, "/v1/routes")
        if code != 200:
            raise _unexpected(address, code, value)
        return list(value["routes"])

    async def config(self, address: str) -> dict[str, Any]:
        """What the gateway has rendered and why, as it says it. Raises: Unavailable."""
        code, value = await self._get(address, "/v1/config")
        if code != 200:
            raise _unexpected(address, code, value)
        return value

    async def service(self, address: str, name: str) -> Service | None:
        """What the gateway has of a service; None when no route leads to it there. Raises: Unavailable."""
        code, value = await self._get(address, f"/v1/services/{quote(name, safe='')}")
        if code == 404:
            return None
        if code != 200:
            raise _unexpected(address, code, value)
        return read_service(value)

    async def _get(self, address: str, path: str) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            raise RuntimeError("use the client as an async context manager")
        root = address if "://" in address else f"http://{address}"
        try:
            async with self._session.get(URL(root.rstrip("/") + path, encoded=True)) as response:
                return response.status, json.loads(await response.read())
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise errors.Unavailable(f"The gateway at {address} does not answer: {reason}") from error


async def status(address: str, *, timeout: timedelta = TIMEOUT) -> dict[str, Any]:
    """`Gateways.status`, for whoever asks once."""
    async with Gateways(timeout=timeout) as gateways:
        return await gateways.status(address)


async def service(address: str, name: str, *, timeout: timedelta = TIMEOUT) -> Service | None:
    """`Gateways.service`, for whoever asks once."""
    async with Gateways(timeout=timeout) as gateways:
        return await gateways.service(address, name)


def read_service(value: Mapping[str, Any]) -> Service:
    """From the body of `/v1/services/<name>`."""
    servers = tuple(_server(server) for server in value["servers"])
    releases = {name: _count(count) for name, count in value.get("releases", {}).items()}
    return Service(value["service"], value["index"], servers, releases)


def _count(value: Mapping[str, Any]) -> Count:
    return Count(
        requests=value["requests"],
        errors=value["errors"],
        failures=value["failures"],
        retries=value["retries"],
        response_ms=value["response_ms"],
    )


def _server(value: Mapping[str, Any]) -> Server:
    return Server(
        id=value["id"],
        address=value["address"],
        port=value["port"],
        release=value["release"],
        state=value["state"],
        weight=value["weight"],
        requests=value["requests"],
    )


def _unexpected(address: str, code: int, value: Mapping[str, Any]) -> errors.Unavailable:
    return errors.Unavailable(f"The gateway at {address} answered {code}: {value.get('error', value)}")
