"""Nodes: the WebSocket that their agents connect to, and the tokens that let them. docs/reference/channel.md."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from pierhead.api import auth
from pierhead.api import errors as api_errors
from pierhead.api.auth import Ctx
from pierhead.control import tokens
from pierhead.kit import errors

router = APIRouter(tags=["nodes"])
sockets = APIRouter(tags=["nodes"])


@dataclass(frozen=True, slots=True)
class NodeToken:
    node: str
    token: str
    """Shown this once: only its hash is kept."""


@router.post("/nodes/{node}/token", status_code=201)
async def create_token(ctx: Ctx, node: str) -> NodeToken:
    """A token for the agent of that node; the one before it is refused from now on."""
    return NodeToken(node, await tokens.create(ctx, node))


@router.delete("/nodes/{node}/token", status_code=204)
async def revoke_token(ctx: Ctx, node: str) -> None:
    """The node's token is refused from now on, and its agent is disconnected."""
    await tokens.revoke(ctx, node)


@sockets.websocket("/nodes/channel")
async def connect(socket: WebSocket) -> None:
    """The agent of the node whose token is in the header is connected."""
    ctx = auth.context(socket)
    name = await tokens.node(ctx, auth.bearer(socket))
    if name is None:
        error = errors.Denied(
            "This is no node's token.", hint="`pier node token create NODE` makes one; the agent reads it from a file."
        )
        await socket.send_denial_response(JSONResponse(api_errors.body(error), 401))
        return
    await socket.accept()
    with contextlib.suppress(errors.Unavailable):  # it hung up
        await ctx.channels.serve(name, socket.client.host if socket.client else "", _Socket(socket))
    await _Socket(socket).close()


class _Socket:
    """The WebSocket as `wire.channel` wants it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send_bytes(message)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise errors.Unavailable("The connection to the node broke.") from error

    async def receive(self) -> bytes | None:
        try:
            return await self._socket.receive_bytes()
        except (WebSocketDisconnect, RuntimeError, KeyError):  # KeyError: a text
            return None

    async def close(self) -> None:
        try:
            await self._socket.close()
        except (WebSocketDisconnect, RuntimeError, OSError):
            return
