"""WebSockets of the public API: a terminal in an instance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from pierhead.client import Api
from pierhead.kit import errors


@asynccontextmanager
async def opened(
    api: Api, path: str, query: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """An open WebSocket. Raises: the server's refusal, Unavailable."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    try:
        async with (
            aiohttp.ClientSession(headers=dict(api.headers), timeout=timeout) as session,
            session.ws_connect(f"{api.url}/v1{path}", params=query, heartbeat=15, max_msg_size=0) as socket,
        ):
            yield socket
    except aiohttp.WSServerHandshakeError as error:
        family = {401: errors.Denied, 403: errors.Denied, 404: errors.NotFound}.get(error.status, errors.Conflict)
        raise family(f"The server refused: {error.message}") from error
    except aiohttp.ClientConnectionError as error:
        raise api.unavailable(error) from error
