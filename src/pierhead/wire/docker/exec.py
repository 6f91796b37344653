"""A command in a running container, with its input and output. Source: Docker Engine API, Exec.

The engine takes over the connection once the command has started, so this speaks HTTP/1.1 to it by hand.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from pierhead.kit import errors as kit_errors
from pierhead.wire.docker import errors
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.frames import Frame

_CHUNK = 1 << 16
_STDERR = 2


class Session:
    """A command that runs. `read` until it returns None, then `exit_code`."""

    def __init__(
        self, engine: Engine, exec_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tty: bool
    ) -> None:
        self.id = exec_id
        self._engine, self._tty = engine, tty
        self._reader, self._writer = reader, writer

    async def read(self) -> Frame | None:
        """What it wrote next; None when it has ended. A terminal mixes both outputs into one."""
        if self._tty:
            data = await self._reader.read(_CHUNK)
            return Frame(is_error=False, data=data) if data else None
        try:
            header = await self._reader.readexactly(8)
            data = await self._reader.readexactly(int.from_bytes(header[4:], "big"))
        except asyncio.IncompleteReadError:
            return None
        return Frame(header[0] == _STDERR, data)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def end_input(self) -> None:
        """The command reads the end of its input."""
        if self._writer.can_write_eof():
            self._writer.write_eof()

    async def resize(self, rows: int, columns: int) -> None:
        await self._engine.post(f"/exec/{self.id}/resize", query={"h": rows, "w": columns})

    async def exit_code(self) -> int | None:
        """None while it runs."""
        code = (await self._engine.get(f"/exec/{self.id}/json"))["ExitCode"]
        return None if code is None else int(code)

    def close(self) -> None:
        """Nothing more is read or written, input included that the command has not read; it may run on."""
        self._writer.transport.abort()


@asynccontextmanager
async def started(engine: Engine, container: str, command: Sequence[str], *, tty: bool) -> AsyncIterator[Session]:
    """The command runs. At the end its connection is closed; a command that still runs reads the end of its input.

    Raises: NotFound (no such container), Conflict (it does not run).
    """
    session = await start(engine, await create(engine, container, command, tty=tty), tty=tty)
    try:
        yield session
    finally:
        session.close()


async def create(
    engine: Engine, container: str, command: Sequence[str], *, tty: bool, env: Mapping[str, str] | None = None
) -> str:
    """The command can be started; its id. `env` is what its environment has besides the container's.

    Raises: NotFound (no such container), Conflict (it does not run).
    """
    body = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": tty, "Cmd": list(command)}
    variables = [f"{name}={value}" for name, value in (env or {}).items()]
    return str((await engine.post(f"/containers/{container}/exec", {**body, "Env": variables}))["Id"])


async def start(engine: Engine, exec_id: str, *, tty: bool) -> Session:
    """The command runs, until it ends. Raises: NotFound, Conflict (the container does not run)."""
    reader, writer = await _take_over(engine, f"/exec/{exec_id}/start", {"Detach": False, "Tty": tty})
    return Session(engine, exec_id, reader, writer, tty=tty)


async def host_pid(engine: Engine, exec_id: str) -> int:
    """Its process on the engine's host; 0 when it does not run. Raises: NotFound."""
    return int((await engine.get(f"/exec/{exec_id}/json"))["Pid"])


async def _take_over(engine: Engine, path: str, body: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The raw connection behind a POST that the engine answers with 101 or 200."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    )
    try:
        reader, writer = await _connect(engine.address)
        writer.write(head.encode() + data)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (OSError, asyncio.IncompleteReadError) as error:
        raise kit_errors.Unavailable(f"The engine did not start the command: {error}") from error
    status = int(answer.split()[1])
    if status >= 400:
        rest = await reader.read(_CHUNK)
        writer.close()
        errors.check(status, rest, f"POST {path}")
    return reader, writer


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix://"):
        return await asyncio.open_unix_connection(address.removeprefix("unix://"))
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return await asyncio.open_connection(host, int(port))
