"""The node's channel: one WebSocket to each server, opened from here, so that a node opens no port.

Over it a server asks for commands, logs, stats and inspections. It is opened again for as long as the agent lives,
and commands go on meanwhile: `agent.terminals`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import aiohttp

import pierhead
from pierhead.agent import inspection, logs
from pierhead.agent.endpoint import Node
from pierhead.agent.options import NO_ENGINE
from pierhead.agent.terminals import Place, Terminals
from pierhead.kit import errors, tasks
from pierhead.kit.backoff import Backoff
from pierhead.wire.channel import greeting, objects
from pierhead.wire.channel.greeting import Hello
from pierhead.wire.channel.link import Link, Stream
from pierhead.wire.docker import containers, stats, system
from pierhead.wire.docker.client import Engine

log = logging.getLogger(__name__)

PATH = "/v1/nodes/channel"
_NOT_YET = "not connected yet"
_LARGEST = 2 << 20
_GREETING = timedelta(seconds=10)
_GOODBYE = timedelta(seconds=1)
"""Whoever does not answer it is gone: the session of a command lasts only so long."""
_LOOK, _LOOK_SOON = timedelta(seconds=30), timedelta(seconds=3)
_ENGINE_PATIENCE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Options:
    servers: Sequence[str]
    """`http://server:4400`, one or more of the same cluster: each is connected, and each reaches every session."""
    token_file: Path
    """Holds the node's token; read at every try, so that a new one needs no restart."""
    engine: str
    data: Path
    retry: timedelta = timedelta(seconds=10)
    """The longest wait between two tries."""
    limit: timedelta = timedelta(seconds=30)
    """How long a command goes on when nobody is there to watch it."""


async def run(options: Options, node: Node, tell: Callable[[str], None] = lambda problem: None) -> None:
    """The servers reach this node's containers, until this is cancelled. `tell` hears what is in the way, or ""."""
    problems = dict.fromkeys(options.servers, _NOT_YET)

    def heard(server: str, problem: str) -> None:
        problems[server] = problem
        tell("; ".join(text for text in problems.values() if text))

    async with Engine(options.engine, connections=0) as engine, tasks.Crew() as crew:
        place = Place(engine, options.data / "commands", node.name, options.limit)
        terminals = Terminals(place, crew)
        await terminals.sweep()
        try:
            async with asyncio.TaskGroup() as group:
                for server in options.servers:
                    kept = _Channel(server, options, node, terminals, partial(heard, server)).keep()
                    group.create_task(kept, name=f"channel to {server}")
        finally:
            await terminals.close()


class _Channel:
    def __init__(
        self, server: str, options: Options, node: Node, terminals: Terminals, tell: Callable[[str], None]
    ) -> None:
        self._server, self._options, self._node, self._terminals = server, options, node, terminals
        self._engine, self._tell = terminals.engine, tell
        self._problem = _NOT_YET
        self._engine_id = ""
        """The last that the engine has told."""
        self._backoff = Backoff(limit=options.retry)

    async def keep(self) -> None:
        """Connected, and again whenever that ends."""
        while True:
            try:
                await self._connected()
                problem = "the server closed the connection"
            except errors.PierError as error:
                problem = f"{error.message} {error.hint}".strip()
            self._say(problem)
            await asyncio.sleep(self._backoff.failed())

    def _say(self, problem: str) -> None:
        before, self._problem = self._problem, problem
        if problem and problem != before:
            log.warning("The server does not reach this node: %s", problem)
        elif before and not problem:
            log.info("The server reaches this node.", extra={"server": self._server})
        self._tell(problem)

    async def _connected(self) -> None:
        """Until the connection ends. Raises: Denied, Conflict, Invalid (refused), Unavailable, NotFound (no token)."""
        engine_node = await self._engine_node()
        headers = {"Authorization": f"Bearer {_token(self._options.token_file)}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            socket = await self._dial(session)
            try:
                async with asyncio.timeout(_GREETING.total_seconds()):
                    await self._greet(socket, engine_node)
                self._backoff.succeeded()
                self._say("")
                await tasks.unless(self._until_moved(engine_node), Link(socket, self._serve).run())
            except TimeoutError as error:
                raise errors.Unavailable(f"{self._server} did not answer the agent's greeting.") from error
            finally:
                await socket.close()

    async def _dial(self, session: aiohttp.ClientSession) -> _Socket:
        server = self._server
        try:
            async with asyncio.timeout(_GREETING.total_seconds()):
                goodbye = aiohttp.ClientWSTimeout(ws_close=_GOODBYE.total_seconds())
                return _Socket(await session.ws_connect(f"{server}{PATH}", max_msg_size=_LARGEST, timeout=goodbye))
        except aiohttp.WSServerHandshakeError as error:
            raise _refusal(server, error.status, self._node.name) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise errors.Unavailable(
                f"No Pierhead answers at {server}: {str(error) or type(error).__name__}",
                hint="Check that the server runs and the agent's --server.",
            ) from error

    async def _greet(self, socket: _Socket, engine_node: str) -> None:
        node = self._node
        await socket.send(greeting.hello(Hello(node.id, node.name, engine_node, pierhead.__version__)))
        answer = await socket.receive()
        if answer is None:
            raise errors.Unavailable(f"{self._server} hung up before it had answered.")
        greeting.read_answer(answer)

    async def _engine_node(self) -> str:
        """This node's id in the swarm; empty when it is in none. The last known one while the engine is silent."""
        if self._options.engine == NO_ENGINE:
            return ""
        with contextlib.suppress(errors.PierError, TimeoutError):
            async with asyncio.timeout(_ENGINE_PATIENCE.total_seconds()):
                self._engine_id = str((await system.info(self._engine)).get("Swarm", {}).get("NodeID") or "")
        return self._engine_id

    async def _until_moved(self, engine_node: str) -> None:
        """Ends when the node has another id in the swarm than the server was told."""
        while True:
            await asyncio.sleep((_LOOK if engine_node else _LOOK_SOON).total_seconds())
            found = await self._engine_node()
            if found and found != engine_node:
                return

    async def _serve(self, stream: Stream) -> None:
        """Raises: Invalid, what the kind of stream raises."""
        if self._options.engine == NO_ENGINE:
            raise errors.Conflict(f"Node {self._node.name} has no engine, so it runs no containers.")
        kind = stream.body.get("kind")
        match kind:
            case "command":
                await self._terminals.serve(stream)
            case "logs":
                await logs.serve(self._engine, stream)
            case "stats":
                await self._stats(stream)
            case "inspection":
                await self._inspect(stream)
            case _:
                raise errors.Invalid(
                    f"The agent of {self._node.name} knows no stream of kind {kind!r}.", hint="Update the agent."
                )

    async def _stats(self, stream: Stream) -> None:
        """One JSON object per line: the fields of `wire.docker.stats.Sample`."""
        container = str(stream.body.get("container"))
        if not stream.body.get("follow"):
            await objects.send(stream, asdict(await stats.one(self._engine, container)))
            return
        async for sample in stats.follow(self._engine, container):
            await objects.send(stream, asdict(sample))

    async def _inspect(self, stream: Stream) -> None:
        found = await containers.inspect(self._engine, str(stream.body.get("container")))
        await objects.send(stream, inspection.document(found, stream.body.get("secrets") or ()))


class _Socket:
    """The WebSocket as `wire.channel` wants it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send_bytes(message)
        except (aiohttp.ClientError, OSError) as error:
            raise errors.Unavailable(f"The connection to the server broke: {error}") from error

    async def receive(self) -> bytes | None:
        message = await self._socket.receive()
        return message.data if message.type is aiohttp.WSMsgType.BINARY else None

    async def close(self) -> None:
        await self._socket.close()


def _refusal(server: str, status: int, node: str) -> errors.PierError:
    if status in (401, 403):
        return errors.Denied(
            f"{server} does not know this node's token.",
            hint=f"Make one on the server: `pier node token create {node}`.",
        )
    return errors.Unavailable(f"{server} answered {status} where nodes connect.", hint="Is it a Pierhead?")


def _token(file: Path) -> str:
    """Raises: NotFound, Denied."""
    try:
        return file.read_text().strip()
    except FileNotFoundError as error:
        raise errors.NotFound(
            f"There is no token for the server in {file}.",
            hint="`pier node token create NODE` on the server makes one; PIER_NODE_TOKEN or --token-file gives it.",
        ) from error
    except OSError as error:
        raise errors.Denied(f"The token in {file} cannot be read: {error.strerror}") from error
