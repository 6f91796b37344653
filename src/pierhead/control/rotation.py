"""A key is replaced: the new one seals from now on, everything is sealed anew with it, and the old one is forgotten.

In this order, each step on disk before the next one begins, so whoever is killed anywhere goes on with the same step.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pierhead.control.context import Context
from pierhead.control.keyring import Keyring
from pierhead.kit import errors
from pierhead.kit.backoff import Backoff
from pierhead.model import certificate
from pierhead.model.keys import Keys
from pierhead.store import sealings
from pierhead.store.sealings import Sealing
from pierhead.wire.consul import kv
from pierhead.wire.consul.kv import Pair

_log = logging.getLogger(__name__)

SECRETS, CERTIFICATES = "secrets", "certificates"
_AT_ONCE = 100
"""Values that are sealed anew in one transaction."""


@dataclass(frozen=True, slots=True)
class Key:
    """One of the cluster's keys, without the key."""

    name: str
    """`secrets`: of everything that is sealed in the database. `certificates`: of those in the catalog."""
    id: str
    """Of the key that seals now."""
    coming_id: str
    """Of the one that will; empty: none was made yet."""
    is_rotating: bool
    """The key before is still needed."""
    left: int
    """Values that the key of now has not sealed yet."""
    unreadable: Sequence[str]
    """What no key opens, and so stayed as it is."""


async def show(ctx: Context, name: str) -> Key:
    """Raises: NotFound (no such key), Unavailable."""
    ring = _ring(ctx, name)
    held = ring.held
    coming = Keys(held.coming).id if held.coming else ""
    return Key(name, held.id, coming, held.old is not None, await _left(ctx, name), sorted(ring.unreadable))


async def check(ctx: Context) -> None:
    """This server and a PostgreSQL belong together: its key opens something of what is sealed there, if anything is.

    With another server's key, or a fresh one, what is new would be sealed so that the others cannot open it.
    Raises: Conflict, Unavailable.
    """
    if not ctx.settings.database.url:
        return
    async with ctx.store.read() as db:
        is_known = await sealings.are_there(db, ctx.keys.held.prefix)
        others = await sealings.others(db, ctx.keys.held.prefix, _AT_ONCE)
    if others and not is_known and not any(_opens(ctx.keys, one) for one in others):
        raise errors.Conflict(
            "What is sealed in the database of database.url was sealed with another key than this server's.",
            hint=f"Copy secret.key and token from the data folder of the server that used it to {ctx.settings.home}.",
        )


async def prepare(ctx: Context) -> Key:
    """The key file of certificates holds the coming key too, which gateways need before it is taken. Idempotent."""
    async with ctx.certificate_keys.lock:
        ctx.certificate_keys.change(ctx.certificate_keys.held.prepared())
    return await show(ctx, CERTIFICATES)


async def begin(ctx: Context, name: str) -> Key:
    """A new key seals from now on, and `run` does the rest. Does nothing while that is so already.

    Raises: NotFound (no such key), Conflict (gateways were not given the coming key).
    """
    ring = _ring(ctx, name)
    if name == CERTIFICATES and not (ring.held.old or ring.held.coming):
        raise errors.Conflict(
            "Gateways do not have the coming key yet: certificates sealed with it could not be opened.",
            hint="`pier certificate rotate-key --prepare` makes it, and says what to do.",
        )
    async with ring.lock, ctx.store.write():  # nobody seals meanwhile
        ring.unreadable.clear()
        ring.change(ring.held.rotated())
    _log.info("Took a new key.", extra={"key": name, "id": ring.held.id})
    ctx.rotation_wanted.set()
    return await show(ctx, name)


async def run(ctx: Context) -> None:
    """Every rotation that was begun, by this process or the one before it, comes to its end, until cancelled."""
    backoff = Backoff(limit=timedelta(seconds=5))
    while True:
        pause = None
        try:
            await finish(ctx)
            backoff.succeeded()
        except errors.Unavailable as error:
            _log.warning("A key is not replaced yet: %s", error)
            pause = timedelta(seconds=backoff.failed())
        await ctx.rotation_wanted.wait(pause)


async def finish(ctx: Context) -> None:
    """Nothing is sealed with an old key any more, and old keys are forgotten. Raises: Unavailable."""
    if ctx.keys.held.old:
        while await _some_secrets(ctx):
            pass
        _log.info("Forgot the old key.", extra={"key": SECRETS, "unreadable": len(ctx.keys.unreadable)})
    if ctx.certificate_keys.held.old:
        await _certificates(ctx)
        _log.info("Forgot the old key.", extra={"key": CERTIFICATES})


async def _some_secrets(ctx: Context) -> bool:
    """So many are sealed anew. False when none was left, and the old key is gone."""
    ring = ctx.keys
    async with ctx.store.write() as db:
        found = await sealings.others(db, ring.held.prefix, _AT_ONCE + len(ring.unreadable))
        wanted = [one for one in found if str(one) not in ring.unreadable]
        for one in wanted:
            try:
                await sealings.put(db, one, ring.seal(ring.open(one.ciphertext)))
            except errors.Broken as error:
                ring.unreadable.add(str(one))
                _log.warning("%s: %s", one, error)
        if not wanted:
            ring.change(ring.held.settled())
    return bool(wanted)


async def _certificates(ctx: Context) -> None:
    ring = ctx.certificate_keys
    async with ring.lock:
        pairs, _ = await kv.get_tree(ctx.catalog, certificate.PREFIX)
        for pair in pairs:
            await _certificate(ctx, pair)
        ring.change(ring.held.settled())


async def _certificate(ctx: Context, pair: Pair) -> None:
    name, held = pair.key.removeprefix(certificate.PREFIX), ctx.certificate_keys.held
    try:
        document = json.loads(pair.value)
        if certificate.is_current(document, held):
            return
        sealed = certificate.seal(certificate.opened(name, document, held), held)
    except ValueError as error:
        ctx.certificate_keys.unreadable.add(f"certificate {name}")
        _log.warning("The certificate %s cannot be opened: %s.", name, error)
        return
    await kv.put(ctx.catalog, pair.key, json.dumps(sealed, sort_keys=True).encode(), cas=pair.modify_index)


async def _left(ctx: Context, name: str) -> int:
    held = _ring(ctx, name).held
    if name == SECRETS:
        async with ctx.store.read() as db:
            return await sealings.left(db, held.prefix)
    pairs, _ = await kv.get_tree(ctx.catalog, certificate.PREFIX)
    return sum(not _is_current(pair, held) for pair in pairs)


def _is_current(pair: Pair, held: Keys) -> bool:
    try:
        return certificate.is_current(json.loads(pair.value), held)
    except ValueError:
        return False


def _opens(ring: Keyring, one: Sealing) -> bool:
    try:
        ring.open(one.ciphertext)
    except errors.Broken:
        return False
    return True


def _ring(ctx: Context, name: str) -> Keyring:
    rings = {SECRETS: ctx.keys, CERTIFICATES: ctx.certificate_keys}
    if name not in rings:
        raise errors.NotFound(f"There is no key {name!r}.", hint=f"There are {SECRETS} and {CERTIFICATES}.")
    return rings[name]
