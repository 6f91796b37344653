"""Asks gateways what they serve at this moment. Never retries, never remembers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
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
class Service:
    name: str
    index: int
    """The catalog's index that the gateway has carried out."""
    servers: tuple[Server, ...]


async def status(url: str, *, timeout: timedelta = TIMEOUT) -> dict[str, Any]:
    """What the gateway at `url` (`http://host:port`) says of itself, as it says it. Raises: Unavailable."""
    code, value = await _get(url, "/v1/status", timeout)
    if code != 200:
        raise _unexpected(url, code, value)
    return value


async def service(url: str, name: str, *, timeout: timedelta = TIMEOUT) -> Service | None:
    """What the gateway has of a service; None when no route leads to it there. Raises: Unavailable."""
    code, value = await _get(url, f"/v1/services/{quote(name, safe='')}", timeout)
    if code == 404:
        return None
    if code != 200:
        raise _unexpected(url, code, value)
    return read_service(value)


def read_service(value: Mapping[str, Any]) -> Service:
    """From the body of `/v1/services/<name>`."""
    return Service(value["service"], value["index"], tuple(_server(server) for server in value["servers"]))


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


async def _get(url: str, path: str, timeout: timedelta) -> tuple[int, dict[str, Any]]:
    limit = aiohttp.ClientTimeout(total=timeout.total_seconds())
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(URL(url.rstrip("/") + path, encoded=True)) as response,
        ):
            return response.status, json.loads(await response.read())
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise errors.Unavailable(f"The gateway at {url} does not answer: {reason}") from error


def _unexpected(url: str, code: int, value: Mapping[str, Any]) -> errors.Unavailable:
    return errors.Unavailable(f"The gateway at {url} answered {code}: {value.get('error', value)}")
