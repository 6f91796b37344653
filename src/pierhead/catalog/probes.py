"""The checks that the server runs itself: one task each, for as long as the check is there and unchanged."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import aiohttp

from pierhead.catalog import grpc
from pierhead.catalog.ledger import Batch
from pierhead.catalog.records import CRITICAL, PASSING, WARNING, Check
from pierhead.catalog.thresholds import Threshold

Report = Callable[[tuple[str, ...], str, str], None]
"""Called with a check's key, its status and its output."""

_TIMEOUT = timedelta(seconds=10)
_OUTPUT_LIMIT = 4096
_AGENT = "Consul Health Check"


class Probes:
    """Follows the rows of checks; `group` holds the tasks and `session` makes the HTTP requests."""

    def __init__(self, group: asyncio.TaskGroup, session: aiohttp.ClientSession, report: Report) -> None:
        self._group = group
        self._session = session
        self._report = report
        self._running: dict[tuple[str, ...], tuple[Mapping[str, Any], asyncio.Task[None]]] = {}

    def follow(self, batch: Batch) -> None:
        """Exactly the probes of the checks that are there now are running, each with its present definition."""
        for (kind, key), row in batch.rows.items():
            if kind == "check":
                self._adjust(key, row if isinstance(row, Check) else None)

    def stop(self) -> None:
        """No probe runs."""
        for _, task in self._running.values():
            task.cancel()
        self._running.clear()

    def _adjust(self, key: tuple[str, ...], row: Check | None) -> None:
        wanted = row.definition if row and row.definition.get("interval") else None
        running = self._running.get(key)
        if running and running[0] == wanted:
            return
        if running:
            running[1].cancel()
            del self._running[key]
        if wanted is not None:
            self._running[key] = (wanted, self._group.create_task(self._probe(key, wanted)))

    async def _probe(self, key: tuple[str, ...], definition: Mapping[str, Any]) -> None:
        """The check has the status that its target shows, looked at every interval."""
        threshold = Threshold(definition.get("rise", 0), definition.get("fall", 0))
        while True:
            status, output = await self._look(definition)
            if threshold.holds(status):
                self._report(key, status, output[:_OUTPUT_LIMIT])
            await asyncio.sleep(definition["interval"])

    async def _look(self, definition: Mapping[str, Any]) -> tuple[str, str]:
        limit = definition.get("timeout") or _TIMEOUT.total_seconds()
        try:
            async with asyncio.timeout(limit):
                if "http" in definition:
                    return await _ask_http(self._session, definition)
                if "tcp" in definition:
                    return await _connect(definition["tcp"])
                return await grpc.ask(definition["grpc"], _tls(definition, "grpc_tls"))
        except TimeoutError:
            return CRITICAL, f"No answer in {limit:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return CRITICAL, str(error) or type(error).__name__


async def _ask_http(session: aiohttp.ClientSession, definition: Mapping[str, Any]) -> tuple[str, str]:
    method, url = definition.get("method") or "GET", definition["http"]
    headers = {name: ", ".join(values) for name, values in definition.get("header", {}).items()}
    async with session.request(
        method,
        url,
        headers={"User-Agent": _AGENT, "Accept": "text/plain, text/*, */*", **headers},
        data=definition.get("body"),
        ssl=_tls(definition, "tls") or True,
        allow_redirects=not definition.get("no_redirects", False),
    ) as response:
        body = (await response.content.read(_OUTPUT_LIMIT)).decode(errors="replace")
    output = f"HTTP {method} {url}: {response.status} {response.reason} Output: {body}"
    if 200 <= response.status < 300:
        return PASSING, output
    return (WARNING if response.status == 429 else CRITICAL), output


async def _connect(target: str) -> tuple[str, str]:
    host, _, port = target.rpartition(":")
    if not port.isdigit():
        return CRITICAL, f"{target} is no address"
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()
    return PASSING, f"TCP connect {target}: Success"


def _tls(definition: Mapping[str, Any], wanted: str) -> ssl.SSLContext | None:
    """The TLS that differs from the default: for gRPC when it is wanted, for HTTP when nothing is to be verified."""
    is_unverified = definition.get("tls_skip_verify", False)
    if wanted == "grpc_tls" and not definition.get("grpc_tls"):
        return None
    if wanted == "tls" and not is_unverified:
        return None
    context = ssl.create_default_context()
    if is_unverified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
