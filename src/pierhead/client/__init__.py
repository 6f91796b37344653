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
from dataclasses import replace
from pathlib import Path
from typing import Any

from pierhead.client import http
from pierhead.client.http import NoAnswer, Request, Response
from pierhead.kit import errors

_TRIES = 5
_JSON = ("Content-Type", "application/json")


class Api:
    """The calls, with the server's errors as `kit.errors`.

    Raises: whatever family the server answered; Unavailable when no server answers.
    """

    def __init__(self, url: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.url, self.headers = url.rstrip("/"), headers

    async def get(self, path: str, **query: str | int) -> Any:
        return await self._call(Request("GET", path, _texts(query)))

    async def post(self, path: str, body: Any = None) -> Any:
        return await self._call(_json("POST", path, body if body is not None else {}))

    async def put(self, path: str, body: Any) -> Any:
        return await self._call(_json("PUT", path, body))

    async def patch(self, path: str, body: Any) -> Any:
        return await self._call(_json("PATCH", path, body))

    async def delete(self, path: str) -> Any:
        return await self._call(Request("DELETE", path))

    async def send(self, path: str, body: bytes, **query: str | int) -> Any:
        return await self._call(Request("POST", path, _texts(query), body=body))

    async def upload(self, path: str, file: Path) -> Any:
        return await self._call(Request("POST", path, body=file))

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
        headers = [("Last-Event-ID", str(last))] if last else []
        async with self._asked(Request("GET", path, _texts(query), headers, silence=None)) as response:
            event: dict[str, Any] = {}
            async for line in response.lines():
                field, _, value = line.partition(": ")
                if field == "data":
                    event["data"] = json.loads(value)
                elif field in ("id", "event"):
                    event["kind" if field == "event" else field] = value
                elif not field and event:
                    yield event
                    event = {}

    def unavailable(self, error: BaseException) -> errors.Unavailable:
        return errors.Unavailable(
            f"No Pierhead answers at {self.url}: {str(error) or type(error).__name__}.",
            hint="`pier up` starts one on this machine, `pier status` tells what is wrong, `pier login` uses another.",
        )

    async def _call(self, request: Request) -> Any:
        async with self._asked(request) as response:
            body = await response.read()
        try:
            return json.loads(body) if body else None
        except ValueError as error:
            raise self.unavailable(NoAnswer("what answers is no Pierhead")) from error

    @asynccontextmanager
    async def _asked(self, request: Request) -> AsyncIterator[Response]:
        request = replace(request, path=f"/v1{request.path}", headers=[*self.headers, *request.headers])
        try:
            async with http.ask(self.url, request) as response:
                await _check(response)
                yield response
        except NoAnswer as error:
            raise self.unavailable(error) from error


@asynccontextmanager
async def connected(url: str, token: str) -> AsyncIterator[Api]:
    """The API at `url` (`http://127.0.0.1:4400`), for the holder of `token`."""
    yield Api(url, [("Authorization", f"Bearer {token}")] if token else [])


async def _check(response: Response) -> None:
    if response.status < 300:
        return
    if response.location:
        raise errors.Invalid(f"The server is elsewhere: {response.location}", hint="Use that address: `pier login`.")
    body = await response.read()
    try:
        error = error_of(json.loads(body))
    except (ValueError, KeyError, TypeError):
        raise errors.Broken(f"The server answered {response.status} {response.reason}.") from None
    raise error


def error_of(body: dict[str, Any]) -> errors.PierError:
    """The error that a body of the API describes. Raises: KeyError, TypeError when it is none."""
    return errors.read(body["error"])


def _json(method: str, path: str, body: Any) -> Request:
    return Request(method, path, headers=[_JSON], body=json.dumps(body).encode())


def _texts(query: dict[str, str | int]) -> Sequence[tuple[str, str]]:
    return [(name, str(value)) for name, value in query.items()]
