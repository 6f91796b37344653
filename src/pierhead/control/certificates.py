"""Certificates: given by people, sealed in the catalog, opened by gateways and by nobody else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pierhead.control.context import Context
from pierhead.kit import clock, errors
from pierhead.model import certificate
from pierhead.wire.consul import kv

_HINT = "`pier certificate list` shows them."


@dataclass(frozen=True, slots=True)
class Listed:
    """A certificate without its key, which no one is shown again."""

    name: str
    names: tuple[str, ...]
    """Host names."""
    ends_at: datetime | None
    problem: str


async def put(ctx: Context, name: str, chain: str, key: str) -> Listed:
    """Every gateway serves it from now on, in place of an older one of that name. Raises: Invalid, Unavailable."""
    try:
        read = certificate.read(name, chain, key)
    except ValueError as error:
        raise errors.Invalid(f"The certificate {name} cannot be used: {error}.") from None
    if read.ends_at <= clock.now():
        raise errors.Invalid(f"The certificate {name} {certificate.fault(read.ends_at, clock.now())}.")
    async with ctx.certificate_keys.lock:
        document = json.dumps(certificate.seal(read, ctx.certificate_keys.held), sort_keys=True)
        await kv.put(ctx.catalog, certificate.PREFIX + name, document.encode())
    return Listed(name, read.names, read.ends_at, certificate.fault(read.ends_at, clock.now()))


async def listing(ctx: Context) -> Sequence[Listed]:
    """Those in the catalog, by name. Raises: Unavailable."""
    pairs, _ = await kv.get_tree(ctx.catalog, certificate.PREFIX)
    return [_listed(pair.key.removeprefix(certificate.PREFIX), pair.value) for pair in pairs]


async def remove(ctx: Context, name: str) -> None:
    """No gateway serves it any more. Raises: NotFound, Unavailable."""
    if name not in {one.name for one in await listing(ctx)}:
        raise errors.NotFound(f"There is no certificate {name}.", hint=_HINT)
    await kv.delete(ctx.catalog, certificate.PREFIX + name)


def _listed(name: str, document: bytes) -> Listed:
    try:
        names, ends_at = certificate.told(json.loads(document))
    except ValueError as error:
        return Listed(name, (), None, str(error))
    return Listed(name, names, ends_at, certificate.fault(ends_at, clock.now()))
