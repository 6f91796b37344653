"""The client of the public API: what the command line uses, and anybody may.

    async with client.connected(url, token) as api:
        build = await api.post("/apps/notes/builds", {"source": "https://…", "environment": "dev"})
        async for event in api.follow(f"/builds/{build['id']}/journal"):
            print(event["text"])

Answers are the decoded JSON of the API's documents (`/v1/openapi.json`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from pierhead.kit import errors

_TRIES = 5


class Api:
    """The calls, with the server's errors as `kit.errors`.

    Raises: whatever family the server answered; Unavailable when no server answers.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def get(self, path: str, **query: str | int) -> Any:
        return await self._call("GET", path, params=query)

    async def post(self, path: str, body: Any = None) -> Any:
        return await self._call("POST", path, json=body if body is not None else {})

    async def put(self, path: str, body: Any) -> Any:
        return await self._call("PUT", path, json=body)

    async def patch(self, path: str, body: Any) -> Any:
        return await self._call("PATCH", path, json=body)

    async def delete(self, path: str) -> Any:
        return await self._call("DELETE", path)

    async def send(self, path: str, body: bytes, **query: str | int) -> Any:
        return await self._call("POST", path, data=body, params=query)

    async def upload(self, path: str, file: Path) -> Any:
        with file.open("rb") as body:
            return await self._call("POST", path, data=body)

    async def follow(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Every event of a journal, until its subject has ended. A broken connection goes on after the last event."""
        last, tries = 0, 0
        while True:
            try:
                async for event in self.events(path, last=last):
                    if event.get("kind") == "end":
                        return
                    tries = 0
                    last = int(event["id"])
                    yield event["data"]
            except errors.Unavailable:
                tries += 1
                if tries == _TRIES:
                    raise

    async def events(self, path: str, *, last: int = 0, **query: str | int) -> AsyncIterator[dict[str, Any]]:
        """The server-sent events of one response: `{"id", "kind", "data"}`."""
        headers = {"Last-Event-ID": str(last)} if last else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        try:
            async with self._session.get(
                f"{self.url}/v1{path}", params=query, headers=headers, timeout=timeout
            ) as response:
                await _check(response)
                event: dict[str, Any] = {}
                async for line in response.content:
                    field, _, value = line.decode().rstrip("\n").partition(": ")
                    if field == "data":
                        event["data"] = json.loads(value)
                    elif field in ("id", "event"):
                        event["kind" if field == "event" else field] = value
                    elif not field and event:
                        yield event
                        event = {}
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._unavailable(error) from error

    @asynccontextmanager
    async def socket(
        self, path: str, query: Sequence[tuple[str, str]] = ()
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """An open WebSocket. Raises: the server's refusal, Unavailable."""
        address = f"{self.url}/v1{path}"
        try:
            async with self._session.ws_connect(address, params=query, heartbeat=15, max_msg_size=0) as opened:
                yield opened
        except aiohttp.WSServerHandshakeError as error:
            family = {401: errors.Denied, 403: errors.Denied, 404: errors.NotFound}.get(error.status, errors.Conflict)
            raise family(f"The server refused: {error.message}") from error
        except aiohttp.ClientConnectionError as error:
            raise self._unavailable(error) from error

    async def _call(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            async with self._session.request(method, f"{self.url}/v1{path}", **arguments) as response:
                await _check(response)
                return await response.json() if response.status != 204 else None
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: BaseException) -> errors.Unavailable:
        return errors.Unavailable(
            f"No Pierhead answers at {self.url}: {str(error) or type(error).__name__}.",
            hint="`pier up` starts one on this machine, `pier status` tells what is wrong, `pier login` uses another.",
        )


@asynccontextmanager
async def connected(url: str, token: str) -> AsyncIterator[Api]:
    """The API at `url` (`http://127.0.0.1:4400`), for the holder of `token`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, read_bufsize=1 << 20) as session:
        yield Api(session, url.rstrip("/"))


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.ok:
        return
    try:
        error = error_of(await response.json())
    except (ValueError, KeyError, TypeError, aiohttp.ContentTypeError):
        raise errors.Broken(f"The server answered {response.status} {response.reason}.") from None
    raise error


def error_of(body: dict[str, Any]) -> errors.PierError:
    """The error that a body of the API describes. Raises: KeyError, TypeError when it is none."""
    return errors.read(body["error"])
