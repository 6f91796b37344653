"""A command or a shell in an instance, through the channel of its node."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pierhead.control import instances
from pierhead.control.channels import Where
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.wire.channel.link import Lost, Stream

_TRIES = 3
"""A connection that is dead is found out when it is used; the next one may be, too."""
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Size:
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Session:
    """One that was cut off."""

    name: str
    output: int
    """Bytes of output that the watcher has."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A command whose node has answered. Its messages are those of `wire.channel.terminal`."""

    stream: Stream
    first: bytes
    """The message that came first; empty when the node had nothing to say."""


async def opened(ctx: Context, instance: str, command: Sequence[str], size: Size | None) -> Watched:
    """The command (a shell, when it is empty) runs in the instance, in a terminal of that size or in none.

    Once, although it is asked for again when the connection to the node is lost before the answer.
    Raises: NotFound, Invalid (the beginning of an id is of several), Unavailable (its node is not connected), Lost.
    """
    found = await instances.find(ctx, instance)
    body = {"kind": "command", "container": found.id, "words": list(command), "tty": size is not None}
    if size:
        body |= {"rows": size.rows, "columns": size.columns}
    return await _answered(ctx, found.where, {**body, "key": secrets.token_urlsafe(_KEY_BYTES)})


async def resumed(ctx: Context, session: Session) -> Watched:
    """The session goes on. Raises: Invalid (no such name), NotFound, Unavailable (its node is not connected), Lost."""
    node, dot, _ = session.name.rpartition(".")
    if not dot:
        raise errors.Invalid(f"{session.name!r} is no session's name.")
    body = {"kind": "command", "session": session.name, "output": session.output}
    return await _answered(ctx, Where(node), body)


async def _answered(ctx: Context, where: Where, body: Mapping[str, Any]) -> Watched:
    """The node has answered, on the connection that it has now."""
    for left in reversed(range(_TRIES)):
        stream = await ctx.channels.open(where, body)
        try:
            return Watched(stream, await stream.receive() or b"")
        except Lost:
            if not left:
                raise
        except BaseException:
            stream.close()
            raise
    raise Lost
