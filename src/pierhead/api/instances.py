"""Instances: the list, what they say, use and are, and a command or a shell in one.

A terminal is a WebSocket with binary messages, those of `wire.channel.terminal`: docs/reference/channel.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from pierhead.api import auth, streams
from pierhead.api import errors as api_errors
from pierhead.api.auth import Ctx
from pierhead.control import inspection, instances, logs, terminal
from pierhead.control.inspection import Use
from pierhead.control.instances import Instance
from pierhead.control.logs import LogLine
from pierhead.control.sources import Problem
from pierhead.control.terminal import Session, Size, Watched
from pierhead.kit import clock, errors, tasks, units
from pierhead.wire.channel import terminal as messages
from pierhead.wire.channel.frames import LARGEST
from pierhead.wire.channel.link import Lost, Stream
from pierhead.wire.channel.terminal import Heard, Said

router = APIRouter(tags=["instances"])
sockets = APIRouter(tags=["instances"])

_REFUSED, _COME_BACK = 4401, 1012
_LEFT = (1000, 1001, 1005)
"""A watcher that closes like this does not come back."""
_CUT_OFF_SECONDS = 10
"""How long a command goes on when the connection to its watcher broke."""
_GOODBYE_SECONDS = 10

Follow = Annotated[bool, Query(description="Go on with what comes, also of instances that start later.")]


@router.get("/instances")
async def list_instances(ctx: Ctx, app: str = "", environment: str = "") -> list[Instance]:
    """What runs now, its state and why it is so."""
    return await instances.listing(ctx, app, environment)


@router.get("/apps/{app}/environments/{environment}/logs")
async def read_logs(
    ctx: Ctx,
    app: str,
    environment: str,
    follow: Follow = False,
    tail: Annotated[int | None, Query(ge=0, le=100_000, description="Of each instance; left out: all.")] = None,
    since: Annotated[str, Query(description="A moment (RFC 3339) or how long ago (`10m`).")] = "",
) -> StreamingResponse:
    """What instances wrote, as server-sent events `{"at", "instance", "release", "stream", "text"}`.

    In the order of their time, or as they come when they are followed. An instance that cannot be asked is an event of
    kind `problem`: `{"instance", "message", "hint"}`.
    """
    wanted = logs.Wanted(follow, tail, _moment(since))
    found = await logs.lines(ctx, app, environment, wanted)
    return streams.respond(_events(found))


@router.get("/stats")
async def read_stats(ctx: Ctx, app: str = "", environment: str = "", follow: Follow = False) -> StreamingResponse:
    """What instances use, as server-sent events, once or every second: processors, memory, network, disk.

    An instance that cannot be asked is an event of kind `problem`: `{"instance", "message", "hint"}`.
    """
    found = inspection.follow(ctx, app, environment) if follow else await inspection.use(ctx, app, environment)
    return streams.respond(_events(found))


@router.get("/instances/{instance}/inspection")
async def inspect(ctx: Ctx, instance: str) -> dict[str, Any]:
    """What the instance is, as its node's engine says. Values that may be secrets are `(hidden)`."""
    return await inspection.inspect(ctx, instance)


@sockets.websocket("/instances/{instance}/exec")
async def execute(
    socket: WebSocket,
    instance: str,
    command: Annotated[list[str] | None, Query()] = None,
    tty: bool = False,
    rows: int = 24,
    columns: int = 80,
    session: str = "",
    output: int = 0,
) -> None:
    """Runs a command in the instance; without one, its shell. The token is in the header: browsers are refused.

    With `session`, the one that was cut off goes on after that many bytes of `output`.
    """
    ctx = auth.context(socket)
    if not await auth.known(ctx, auth.bearer(socket)):
        await socket.close(_REFUSED)
        return
    await socket.accept()
    try:
        if session:
            watched = await terminal.resumed(ctx, Session(session, output))
        else:
            watched = await terminal.opened(ctx, instance, command or (), Size(rows, columns) if tty else None)
    except Lost:
        await socket.close(_COME_BACK)
    except errors.PierError as error:
        await _fail(socket, error)
    else:
        await _carry(socket, watched)


async def _carry(socket: WebSocket, watched: Watched) -> None:
    """Watched until either end is gone; the command is told whether its watcher may come back."""
    codes: list[int] = []
    stream = watched.stream
    try:
        await tasks.unless(_input(socket, stream, codes), _output(socket, watched))
        if not codes:
            await socket.close()
    except Lost:
        await socket.close(_COME_BACK)
    except errors.PierError as error:
        await _fail(socket, error)
    except WebSocketDisconnect as gone:
        codes.append(gone.code)
    finally:
        code = codes[0] if codes else _COME_BACK
        if code in _LEFT:
            stream.close()
        elif code == _COME_BACK:  # this server goes; the agent knows how long it keeps what it has
            stream.close(keep_seconds=timedelta(days=1).total_seconds())
        else:
            stream.close(keep_seconds=_CUT_OFF_SECONDS)


async def _output(socket: WebSocket, watched: Watched) -> None:
    message: bytes | None = watched.first
    while message:
        await socket.send_bytes(message)
        if message[0] == Heard.ENDED:  # the watcher hangs up when it has seen it
            await asyncio.sleep(_GOODBYE_SECONDS)
            return
        message = await watched.stream.receive()


async def _input(socket: WebSocket, stream: Stream, codes: list[int]) -> None:
    """Ends when the watcher is gone, with its code."""
    try:
        while True:
            message = await socket.receive_bytes()
            if message[:1] == bytes([Said.INPUT]):
                for piece in messages.split(Said.INPUT, message[1:]):
                    await stream.send(piece)
            elif 0 < len(message) <= LARGEST:
                await stream.send(message)
    except WebSocketDisconnect as gone:
        codes.append(gone.code)


async def _fail(socket: WebSocket, error: errors.PierError) -> None:
    await socket.send_bytes(messages.message(Heard.ERROR, **api_errors.body(error)))
    await socket.close()


async def _events(
    found: AsyncIterator[LogLine | Problem] | AsyncIterator[Use | Problem],
) -> AsyncIterator[str]:
    async for one in found:
        yield streams.event(asdict(one), kind="problem" if isinstance(one, Problem) else "")
    yield streams.event({}, kind="end")


def _moment(text: str) -> datetime | None:
    """Raises: Invalid."""
    if not text:
        return None
    try:
        return clock.parse(text) if "-" in text else clock.now() - units.duration(text)
    except ValueError as error:
        raise errors.Invalid(
            "The request is not valid.",
            problems=[errors.Problem("since", str(error), "10m, or 2026-11-23T06:10:15Z")],
        ) from error
