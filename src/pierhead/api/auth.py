"""Who is asking. Every call but the ones that say that the server lives needs a token."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from pierhead.control import tokens
from pierhead.control.context import Context

_HINT = (
    "This needs a token: `Authorization: Bearer …`. On the server's machine it is in the file `token` of the data "
    "folder; elsewhere use `pier login` or PIER_TOKEN."
)

_BEARER = HTTPBearer(auto_error=False, description="The admin token, or one made for somebody.")


def context(connection: HTTPConnection) -> Context:
    """What the server was started with."""
    found: Context = connection.app.state.context
    return found


Ctx = Annotated[Context, Depends(context)]


async def identify(ctx: Ctx, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> str:
    """The name of the token's holder. Raises: HTTPException 401."""
    return await holder(ctx, credentials.credentials if credentials else "")


Who = Annotated[str, Depends(identify)]
"""The name of the token's holder."""


async def holder(ctx: Context, token: str) -> str:
    """The name that `token` belongs to. Raises: HTTPException 401."""
    name = await known(ctx, token)
    if name is None:
        raise HTTPException(401, _HINT, {"WWW-Authenticate": "Bearer"})
    return name


async def known(ctx: Context, token: str) -> str | None:
    """The name of the user that `token` belongs to, if it is one's: a node's opens nothing but its channel."""
    return await tokens.user(ctx, token)


def bearer(connection: HTTPConnection) -> str:
    """The token in the header of a WebSocket's first request; empty without one."""
    return connection.headers.get("authorization", "").removeprefix("Bearer ")
