"""Who a token belongs to: a person or program that uses the API, or a node that connects its agent. Never both."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.store import tokens
from pierhead.store.tokens import Holder

ADMIN = "admin"
"""Holds the token that is made at the first start."""
_NODE = "node:"
"""What the names of nodes' tokens begin with in the store."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,53}[A-Za-z0-9])?")
_BYTES = 32


async def user(ctx: Context, token: str) -> str | None:
    """The name of the user whose token it is, if it is one's."""
    name = await _holder(ctx, token)
    return None if name is None or name.startswith(_NODE) else name


async def node(ctx: Context, token: str) -> str | None:
    """The name of the node whose token it is, if it is one's."""
    name = await _holder(ctx, token)
    return name.removeprefix(_NODE) if name is not None and name.startswith(_NODE) else None


async def users(ctx: Context) -> Sequence[Holder]:
    """Who holds a token of a user, by name."""
    async with ctx.store.read() as db:
        return [one for one in await tokens.listing(db) if not one.name.startswith(_NODE)]


async def admit(ctx: Context, name: str) -> str:
    """A new token for a user, shown this once; an older one is refused from now on. Raises: Invalid, Conflict."""
    if not _NAME.fullmatch(name):
        raise errors.Invalid(f"{name!r} is no name.", hint="Letters, digits, dots, dashes and underscores, 55 at most.")
    _check_kept(name)
    token = secrets.token_urlsafe(_BYTES)
    async with ctx.store.write() as db:
        await tokens.ensure(db, name, token)
    return token


async def dismiss(ctx: Context, name: str) -> None:
    """The user's token is refused from now on. Raises: NotFound, Conflict."""
    _check_kept(name)
    if name.startswith(_NODE):
        raise errors.NotFound(f"There is no user {name!r}.")
    async with ctx.store.write() as db:
        if not await tokens.remove(db, name):
            raise errors.NotFound(f"There is no user {name!r}.", hint="`pier token list` shows them.")


async def create(ctx: Context, name: str) -> str:
    """A new token for the node, shown this once; an older one is refused from now on. Raises: Invalid."""
    if not _NAME.fullmatch(name):
        raise errors.Invalid(
            f"{name!r} is no name for a node.", hint="Letters, digits, dots, dashes and underscores, 55 at most."
        )
    token = secrets.token_urlsafe(_BYTES)
    await accept(ctx, name, token)
    ctx.channels.drop(name, _refusal(name))
    return token


async def accept(ctx: Context, name: str, token: str) -> None:
    """`token` is the node's only one."""
    async with ctx.store.write() as db:
        await tokens.ensure(db, _NODE + name, token)


async def revoke(ctx: Context, name: str) -> None:
    """The node's token is refused from now on, and its agent is disconnected. Raises: NotFound."""
    async with ctx.store.write() as db:
        was_there = await tokens.remove(db, _NODE + name)
    if not was_there:
        raise errors.NotFound(f"Node {name} has no token.", hint="`pier node token create` makes one.")
    ctx.channels.drop(name, _refusal(name))


async def _holder(ctx: Context, token: str) -> str | None:
    async with ctx.store.read() as db:
        return await tokens.holder(db, token) if token else None


def _check_kept(name: str) -> None:
    """Raises: Conflict."""
    if name == ADMIN:
        raise errors.Conflict(
            f"The token of {ADMIN} is the file `token` of the data folder.",
            hint="Give every person a token of their own.",
        )


def _refusal(name: str) -> errors.PierError:
    return errors.Denied(
        f"The token of node {name} was replaced or revoked.", hint=f"`pier node token create {name}` makes another."
    )
