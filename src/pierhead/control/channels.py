"""The nodes whose agents are connected to this server, and streams to them.

What is known here is lost with the process: agents connect again by themselves, within seconds. So an unknown node is
waited for a moment before anybody is told that it is not connected.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pierhead.kit import clock, errors
from pierhead.kit.tasks import Broadcast
from pierhead.wire.channel import greeting
from pierhead.wire.channel.greeting import Hello
from pierhead.wire.channel.link import Link, Socket, Stream

log = logging.getLogger(__name__)

_PATIENCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Where:
    """A node, by what is known of it."""

    name: str = ""
    engine_node: str = ""
    """Its id in the swarm."""


@dataclass(frozen=True, slots=True)
class Node:
    """One that is connected, or was."""

    hello: Hello
    address: str
    since: datetime
    """Of being connected, or not."""


@dataclass(slots=True)
class Channels:
    """Of one server process."""

    _links: dict[str, tuple[Node, Link]] = field(default_factory=dict)
    _gone: dict[str, Node] = field(default_factory=dict)
    _since: datetime = field(default_factory=clock.now)
    _joined: Broadcast = field(default_factory=Broadcast)

    def connected(self) -> list[Node]:
        return sorted((node for node, _ in self._links.values()), key=lambda node: node.hello.name)

    async def serve(self, name: str, address: str, socket: Socket) -> None:
        """The holder of the token of node `name` is connected, until the connection ends; refusals are told to it."""
        try:
            hello = await _greeted(name, socket)
            node = Node(hello, address, clock.now())
            link = Link(socket)
            self._check(node)
        except errors.PierError as error:
            log.warning("A node was refused: %s", error, extra={"node": name, "address": address})
            await socket.send(greeting.refused(error))
            return
        await socket.send(greeting.welcome(greeting.agreed(hello.versions)))
        await self._carry(node, link)

    async def open(self, where: Where, body: Mapping[str, Any], patience: timedelta = _PATIENCE) -> Stream:
        """A stream to the node's agent. Raises: Unavailable (it is not connected, after `patience`)."""
        link = await self._find(where, patience)
        return link.open(body)

    def drop(self, name: str, reason: errors.PierError) -> None:
        """The node of that name is connected no more, and told why if it can be reached; nobody waits for that."""
        if name in self._links:
            node, link = self._links.pop(name)
            self._gone[name] = Node(node.hello, node.address, clock.now())
            link.dismiss(reason)
            log.info("A node's connection was given up.", extra={"node": name, "reason": reason.message})

    async def _carry(self, node: Node, link: Link) -> None:
        name = node.hello.name
        self.drop(name, errors.Conflict(f"Node {name} has connected again.", hint="This connection was given up."))
        self._links[name] = node, link
        self._gone.pop(name, None)
        self._joined.set()
        log.info("A node is connected.", extra={"node": name, "address": node.address, "agent": node.hello.program})
        problem = "it closed the connection"
        try:
            await link.run()
        except errors.PierError as error:
            problem = error.message
        finally:
            if name in self._links and self._links[name][1] is link:
                del self._links[name]
                self._gone[name] = Node(node.hello, node.address, clock.now())
                log.info("A node is not connected any more.", extra={"node": name, "problem": problem})

    def _check(self, node: Node) -> None:
        """Raises: Conflict (another machine has this name)."""
        there, _ = self._links.get(node.hello.name, (None, None))
        if there and there.hello.id != node.hello.id:
            raise errors.Conflict(
                f"Another agent is connected as node {node.hello.name}, from {there.address} since "
                f"{clock.text(there.since)}.",
                hint="Each node needs a name and a token of its own: --node-name.",
            )

    async def _find(self, where: Where, patience: timedelta) -> Link:
        deadline = clock.now() + patience
        while True:
            if link := self._look(where):
                return link
            left = deadline - clock.now()
            if left <= timedelta(0) or not await self._joined.wait(left):
                break
        raise self._absent(where)

    def _look(self, where: Where) -> Link | None:
        for node, link in self._links.values():
            if where.engine_node and node.hello.engine_node == where.engine_node:
                return link
        return self._links[where.name][1] if where.name in self._links else None

    def _absent(self, where: Where) -> errors.Unavailable:
        gone = next(
            (
                node
                for node in self._gone.values()
                if node.hello.name == where.name or (where.engine_node and node.hello.engine_node == where.engine_node)
            ),
            None,
        )
        name = gone.hello.name if gone else where.name or where.engine_node
        since = f"since {clock.text(gone.since)}" if gone else f"and was not since this server began at {self._began}"
        return errors.Unavailable(
            f"Node {name} is not connected {since}: its agent reaches this server no more, or does not run.",
            hint=f"On {name}: look whether the agent runs and is given this server's address (--server) and a token "
            f"(`pier node token create {name}`); its log says what is in the way.",
        )

    @property
    def _began(self) -> str:
        return clock.text(self._since)


async def _greeted(name: str, socket: Socket) -> Hello:
    """Raises: Invalid, Conflict (no common version), Denied (the token is another node's), Unavailable."""
    message = await socket.receive()
    if message is None:
        raise errors.Unavailable("The node hung up before it had said who it is.")
    hello = greeting.read_hello(message)
    greeting.agreed(hello.versions)
    if hello.name != name:
        raise errors.Denied(
            f"This is the token of node {name}, and the agent calls itself {hello.name}.",
            hint=f"Start it with --node-name {name}, or make a token: `pier node token create {hello.name}`.",
        )
    return hello
