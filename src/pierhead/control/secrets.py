"""Secrets: set by people, read only where they are delivered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.store import apps, secrets

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_MOST_BYTES = 500 * 1000
"""What the engine takes for one secret."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A secret without its value, which no one is shown again."""

    name: str
    version: int
    created_at: datetime


async def put(ctx: Context, app: str, environment: str, name: str, value: bytes) -> Listed:
    """The next release in that environment is delivered this value. Raises: Invalid."""
    if not _NAME.fullmatch(name):
        raise errors.Invalid(f"{name!r} is not a name for a secret: letters, digits, '_', '.', '-', at most 64.")
    if not 0 < len(value) <= _MOST_BYTES:
        raise errors.Invalid(f"A secret has 1 to {_MOST_BYTES} bytes; this one has {len(value)}.")
    async with ctx.store.write() as db:
        await apps.ensure(db, app, environment)
        await secrets.add(db, app, environment, name, ctx.keys.seal(value))
        held = (await secrets.newest(db, app, environment))[name]
    return Listed(held.name, held.version, held.created_at)


async def listing(ctx: Context, app: str, environment: str) -> Sequence[Listed]:
    async with ctx.store.read() as db:
        held = await secrets.newest(db, app, environment)
    return [Listed(one.name, one.version, one.created_at) for one in held.values()]


async def for_build(ctx: Context, app: str, environment: str, names: Sequence[str]) -> Mapping[str, bytes]:
    """The newest values of these, for a build and for nothing else. Raises: Invalid (there is none)."""
    async with ctx.store.read() as db:
        held = await secrets.newest(db, app, environment)
    if missing := [name for name in names if name not in held]:
        raise errors.Invalid(
            f"build.secrets names {', '.join(missing)}, and {app} has no such secret in {environment}.",
            hint=f"`pier secret set {app} {missing[0]} --environment {environment}` sets it.",
        )
    return {name: ctx.keys.open(held[name].ciphertext) for name in names}


async def reveal(ctx: Context, app: str, environment: str, name: str, version: int) -> bytes:
    """The value itself, for the engine that delivers it and for nothing else. Raises: NotFound."""
    async with ctx.store.read() as db:
        held = await secrets.find(db, app, environment, name, version)
    if held is None:
        raise errors.NotFound(f"{app} has no version {version} of the secret {name} in {environment}.")
    return ctx.keys.open(held.ciphertext)
