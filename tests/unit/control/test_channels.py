"""Nodes that connect, are lost without a word, and connect again. The connections are queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from pierhead.control.channels import Channels, Where
from pierhead.kit import errors
from pierhead.wire.channel import frames, greeting
from pierhead.wire.channel.frames import Kind
from pierhead.wire.channel.greeting import Hello
from pierhead.wire.channel.link import Lost

HELLO = Hello("id-1", "node-1", "", "1.0")
NODE = Where("node-1")
NOW = timedelta()


@dataclass
class Line:
    """The server's end of a connection; a dead one takes and gives nothing."""

    is_dead: bool = False
    sent: asyncio.Queue[Kind] = field(default_factory=asyncio.Queue)
    _inbox: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    async def send(self, message: bytes) -> None:
        if self.is_dead:
            await asyncio.Event().wait()
        self.sent.put_nowait(frames.decode(message).kind)

    async def receive(self) -> bytes | None:
        return await self._inbox.get()

    def say(self, message: bytes | None) -> None:
        self._inbox.put_nowait(message)


@asynccontextmanager
async def connected(channels: Channels) -> AsyncIterator[Line]:
    """A node's agent has just connected."""
    line = Line()
    line.say(greeting.hello(HELLO))
    serving = asyncio.ensure_future(channels.serve("node-1", "10.0.0.1", line))  # noqa: TID251
    assert await line.sent.get() is Kind.WELCOME
    try:
        yield line
    finally:
        line.say(None)
        serving.cancel()
        await asyncio.wait([serving])


async def test_who_waits_on_a_dead_connection_is_told_when_the_node_connects_again() -> None:
    channels = Channels()
    async with connected(channels) as dead:
        dead.is_dead = True
        stream = await channels.open(NODE, {"kind": "command"}, NOW)
        async with connected(channels) as line:
            with pytest.raises(Lost):
                await stream.receive()
            await channels.open(NODE, {"kind": "command"}, NOW)
            assert await line.sent.get() is Kind.OPEN


async def test_a_node_that_is_dropped_is_not_connected_although_its_connection_is_dead() -> None:
    channels = Channels()
    async with connected(channels) as dead:
        dead.is_dead = True
        stream = await channels.open(NODE, {"kind": "command"}, NOW)
        channels.drop("node-1", errors.Denied("its token was revoked"))
        with pytest.raises(Lost):
            await stream.receive()
        assert channels.connected() == []
        with pytest.raises(errors.Unavailable, match="is not connected since"):
            await channels.open(NODE, {"kind": "command"}, NOW)


async def test_a_connection_that_was_given_up_takes_no_more_streams() -> None:
    channels = Channels()
    async with connected(channels):
        _, link = channels._links["node-1"]
        link.dismiss(errors.Conflict("another came"))
        with pytest.raises(Lost):
            link.open({"kind": "command"})
