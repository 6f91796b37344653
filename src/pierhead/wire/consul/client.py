"""The connection to one Consul agent. Everything the client knows of HTTP, blocking queries and JSON is here.

It holds few connections, because Consul resets those above 200 per client address and keeps the slot of a watcher that
went away; it never retries: that is a loop's decision.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from pierhead.kit import errors as kit_errors
from pierhead.wire.consul import errors
from pierhead.wire.consul.tls import Tls

_TLS_HINT = (
    "Look at the settings catalog.ca_file (who signed the server's certificate), catalog.tls_name (the name in it), "
    "catalog.cert_file and catalog.key_file (who this client is)."
)

CONNECTIONS = 16
"""Connections that one client holds at most. A blocking query occupies one for as long as it waits."""

Params = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    index: int
    """What to pass as `index` to wait for the next change; 0 when the answer cannot be waited on."""
    body: bytes

    def json(self) -> Any:
        """The decoded body. Raises: Unavailable when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise kit_errors.Unavailable(
                f"The catalog answered with something else than JSON: {self.text[:80]!r}"
            ) from error

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class Consul:
    """One agent's HTTP API at `url` (`http://127.0.0.1:8500`), used as an async context manager.

    `tls` is used where the URL is https; its files are read when the context manager is entered (Raises: Invalid).

    `timeout` bounds a plain request; a blocking one may take its `wait`, the jitter that Consul adds, and `timeout`.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout: timedelta = timedelta(seconds=5),
        tls: Tls | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Accept-Encoding": "identity", **({"X-Consul-Token": token} if token else {})}
        self._timeout = timeout
        self._tls = (tls or Tls()) if url.startswith("https:") else None
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        context = self._tls.context() if self._tls else None
        connector = aiohttp.TCPConnector(limit=self._connections, ssl=context or True)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def put(self, path: str, body: Any = None, params: Params | None = None) -> Answer:
        """The answer to a PUT of `body` (JSON, or raw bytes). Raises: the families of `errors.check`."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return await self._request("PUT", path, params or {}, data, timedelta())

    async def delete(self, path: str, params: Params | None = None) -> Answer:
        """The answer to a DELETE. Raises: the families of `errors.check`."""
        return await self._request("DELETE", path, params or {}, None, timedelta())

    async def get(
        self,
        path: str,
        params: Params | None = None,
        *,
        index: int = 0,
        wait: timedelta | None = None,
        absent: bool = False,
    ) -> Answer:
        """The answer to a GET; with an `index` not before the resource has gone beyond it or `wait` has passed.

        `absent`: 404 is an answer too, because what is not there can be waited on.
        Raises: the families of `errors.check`.
        Source: Consul HTTP API, Blocking Queries.
        """
        if not index:
            return await self._request("GET", path, params or {}, None, timedelta(), absent=absent)
        limit = wait or timedelta(minutes=1)
        query = {**(params or {}), "index": str(index), "wait": duration(limit)}
        answer = await self._request("GET", path, query, None, limit + limit / 16, absent=absent)
        return Answer(answer.status, following(index, answer.index), answer.body)

    async def _request(
        self, method: str, path: str, params: Params, data: bytes | None, longer: timedelta, *, absent: bool = False
    ) -> Answer:
        if self._session is None:
            raise RuntimeError("use the client as an async context manager")
        url = URL(self.url + path, encoded=True).with_query(params)
        limit = aiohttp.ClientTimeout(total=(self._timeout + longer).total_seconds())
        name = (self._tls.name if self._tls else "") or None
        try:
            async with self._session.request(method, url, data=data, timeout=limit, server_hostname=name) as response:
                body = await response.read()
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise kit_errors.Unavailable(
                f"The catalog at {self.url} and this client do not trust each other: {error}", hint=_TLS_HINT
            ) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise kit_errors.Unavailable(
                f"The catalog at {self.url} did not answer {method} {path}: {reason}",
                hint="Check that it runs there: the setting catalog.url.",
            ) from error
        if not (absent and response.status == 404):
            errors.check(response.status, body.decode(errors="replace"), f"{method} {path}")
        return Answer(response.status, _index(response.headers.get("X-Consul-Index", "")), body)


def following(asked: int, answered: int) -> int:
    """The index to wait on next. One that went back belongs to another life of the server: start over with 0."""
    return answered if answered >= asked else 0


def duration(value: timedelta) -> str:
    """`value` as Consul reads it: `1500ms`."""
    return f"{round(value.total_seconds() * 1000)}ms"


def segment(text: str) -> str:
    """`text` as one segment of a path, whatever is in it."""
    return quote(text, safe="")


def _index(header: str) -> int:
    return max(1, int(header)) if header.isdecimal() else 0
