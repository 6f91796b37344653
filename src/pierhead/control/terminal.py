"""A command or a shell in an instance, through the channel of its node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pierhead.control import instances
from pierhead.control.channels import Where
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.wire.channel.link import Stream


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


async def opened(ctx: Context, instance: str, command: Sequence[str], size: Size | None) -> Stream:
    """The command (a shell, when it is empty) runs in the instance, in a terminal of that size or in none.

    Its messages are those of `wire.channel.terminal`.
    Raises: NotFound, Invalid (the beginning of an id is of several), Unavailable (its node is not connected).
    """
    found = await instances.find(ctx, instance)
    body = {"kind": "command", "container": found.id, "words": list(command), "tty": size is not None}
    if size:
        body |= {"rows": size.rows, "columns": size.columns}
    return await ctx.channels.open(found.where, body)


async def resumed(ctx: Context, session: Session) -> Stream:
    """The session goes on. Raises: Invalid (no such name), Unavailable (its node is not connected)."""
    node, dot, _ = session.name.rpartition(".")
    if not dot:
        raise errors.Invalid(f"{session.name!r} is no session's name.")
    body = {"kind": "command", "session": session.name, "output": session.output}
    return await ctx.channels.open(Where(node), body)
