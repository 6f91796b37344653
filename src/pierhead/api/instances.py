"""Instances: the list, their logs, and a command or a shell in one.

A terminal is a WebSocket with binary messages; the first byte says what follows.
  to the server:   0 input · 1 size `{"rows", "columns"}` · 2 end of input
  to the client:   1 standard output · 2 standard error · 3 the end `{"exit_code"}` · 4 an error, as elsewhere
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from pierhead.api import auth, streams
from pierhead.api import errors as api_errors
from pierhead.api.auth import Ctx
from pierhead.control import instances, logs, terminal
from pierhead.control.instances import Instance
from pierhead.control.logs import LogLine
from pierhead.control.terminal import Size
from pierhead.kit import errors, tasks
from pierhead.wire.docker.exec import Session

router = APIRouter(tags=["instances"])
sockets = APIRouter(tags=["instances"])

_INPUT, _SIZE, _END_OF_INPUT = 0, 1, 2
_STDOUT, _STDERR, _ENDED, _ERROR = b"\x01", b"\x02", b"\x03", b"\x04"
_REFUSED = 4401


@router.get("/instances")
async def list_instances(ctx: Ctx, app: str = "", environment: str = "") -> list[Instance]:
    """What runs now, its state and why it is so."""
    return await instances.listing(ctx, app, environment)


@router.get("/apps/{app}/environments/{environment}/logs")
async def read_logs(
    ctx: Ctx,
    app: str,
    environment: str,
    follow: bool = False,
    tail: Annotated[int, Query(ge=0, le=100_000)] = 200,
) -> StreamingResponse:
    """The last lines of every instance, and what comes, as server-sent events: `{"instance", "stream", "text"}`."""
    return streams.respond(_events(await logs.lines(ctx, app, environment, follow=follow, tail=tail)))


@sockets.websocket("/instances/{instance}/exec")
async def execute(
    socket: WebSocket,
    instance: str,
    command: Annotated[list[str] | None, Query()] = None,
    tty: bool = False,
    rows: int = 24,
    columns: int = 80,
) -> None:
    """Runs a command in the instance; without one, its shell. The token is in the header: browsers are refused."""
    ctx = auth.context(socket)
    if not await auth.known(ctx, socket.headers.get("authorization", "").removeprefix("Bearer ")):
        await socket.close(_REFUSED)
        return
    await socket.accept()
    try:
        async with terminal.opened(ctx, instance, command or (), Size(rows, columns) if tty else None) as session:
            if not await tasks.unless(_input(socket, session), _output(socket, session)):
                return
            code = await session.exit_code()
        await socket.send_bytes(_ENDED + json.dumps({"exit_code": code or 0}).encode())
        await socket.close()
    except errors.PierError as error:
        await socket.send_bytes(_ERROR + json.dumps(api_errors.body(error)).encode())
        await socket.close()
    except WebSocketDisconnect:
        return


async def _output(socket: WebSocket, session: Session) -> None:
    while frame := await session.read():
        await socket.send_bytes((_STDERR if frame.is_error else _STDOUT) + frame.data)


async def _input(socket: WebSocket, session: Session) -> None:
    """Returns when the other end has gone."""
    try:
        while True:
            message = await socket.receive_bytes()
            kind, data = message[0], message[1:]
            if kind == _INPUT:
                await session.write(data)
            elif kind == _SIZE:
                size = json.loads(data)
                await session.resize(int(size["rows"]), int(size["columns"]))
            elif kind == _END_OF_INPUT:
                session.end_input()
    except WebSocketDisconnect:
        return


async def _events(lines: AsyncIterator[LogLine]) -> AsyncIterator[str]:
    async for line in lines:
        yield streams.event(asdict(line))
    yield streams.event({}, kind="end")
