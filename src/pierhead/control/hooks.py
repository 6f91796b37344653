"""Webhooks: set up by people, and what a git server's deliveries lead to."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pierhead.control import builds
from pierhead.control.context import Context
from pierhead.kit import clock, errors, globs
from pierhead.model import hook as hooks
from pierhead.model.app import NAME
from pierhead.model.build import Build
from pierhead.model.hook import Hook, Moved, RefKind, Rule
from pierhead.store import apps, journal
from pierhead.store import hooks as store
from pierhead.store.hooks import Delivery
from pierhead.store.journal import Subject
from pierhead.store.session import Connection
from pierhead.wire.webhook import delivery as webhook
from pierhead.wire.webhook import payload, signature
from pierhead.wire.webhook.delivery import Other, Push

LARGEST_BYTES = 25 << 20
"""Of a delivery; GitHub's own limit."""
_STANDARD = (Rule(RefKind.BRANCH, "main", "dev"),)
_MOST = 100
_NAME_LENGTH = 64
"""Of who pushed; the rest of a longer one is left out."""
_HEADS, _TAGS = "refs/heads/", "refs/tags/"


@dataclass(frozen=True, slots=True)
class Received:
    """What a delivery led to."""

    outcome: str
    build: Build | None = None
    is_again: bool = False
    """It had come before; nothing was done this time."""


async def put(ctx: Context, wanted: Hook) -> tuple[Hook, str]:
    """The app takes deliveries by these rules; the secret, when it has just been made, else an empty text.

    Without rules `main` goes to dev; without a source the one that was built last is used. Raises: Invalid.
    """
    async with ctx.store.write() as db:
        source = wanted.source or (await store.last_source(db, wanted.app))
        hook = replace(wanted, source=source, rules=wanted.rules or _STANDARD, created_at=clock.now())
        if problems := list(_problems(hook)):
            raise errors.Invalid("The webhook was not set.", problems=problems)
        await apps.ensure(db, hook.app)
        found = await store.find(db, hook.app)
        secret = "" if found else secrets.token_urlsafe(32)
        await store.put(db, hook, ctx.keys.seal(secret.encode()))
    return (replace(hook, created_at=found[0].created_at) if found else hook), secret


async def find(ctx: Context, app: str) -> tuple[Hook, Sequence[Delivery]]:
    """The webhook, and the deliveries that came last, the newest first. Raises: NotFound."""
    async with ctx.store.read() as db:
        hook, _ = await _existing(db, app)
        return hook, await store.deliveries(db, app)


async def renew(ctx: Context, app: str) -> str:
    """The webhook's new secret; the old one is not taken any more. Raises: NotFound."""
    secret = secrets.token_urlsafe(32)
    async with ctx.store.write() as db:
        await _existing(db, app)
        await store.set_secret(db, app, ctx.keys.seal(secret.encode()))
    return secret


async def remove(ctx: Context, app: str) -> None:
    """Deliveries are refused. Raises: NotFound."""
    async with ctx.store.write() as db:
        if not await store.delete(db, app):
            raise _none(app)


async def receive(ctx: Context, app: str, delivery: webhook.Delivery) -> Received:
    """A delivery counts once: what it leads to and that it came are on disk together.

    Raises: NotFound (no webhook), Denied (not signed with its secret), Invalid (not what webhooks look like).
    """
    async with ctx.store.read() as db:
        _, ciphertext = await _existing(db, app)
    secret = ctx.keys.open(ciphertext).decode()
    key = await asyncio.to_thread(signature.check, delivery, secret, clock.now())
    told = await asyncio.to_thread(payload.read, delivery)
    sender = webhook.provider(delivery)
    if isinstance(told, Other):
        return Received(
            "The webhook works." if told.is_ping else f"{told.name} is not a push: nothing is built for it."
        )
    async with ctx.store.write() as db:
        hook, _ = await _existing(db, app)
        if before := await store.delivered(db, app, key):
            build = await builds.found(db, before.build_id) if before.build_id else None
            return Received(before.outcome, build, is_again=True)
        received = await _act(db, hook, told)
        build_id = received.build.id if received.build else None
        await store.remember(db, app, key, store.received(sender, told.ref, received.outcome, build_id))
    if received.build:
        ctx.build_wanted.set()
    return received


async def _act(db: Connection, hook: Hook, push: Push) -> Received:
    moved = _moved(push)
    decision = hooks.decide(hook, moved)
    if not decision.environment:
        return Received(decision.reason)
    build = await builds.queue(db, hook.app, decision.environment, hook.source, moved.commit, author=moved.who)
    by = f", pushed by {moved.who}" if moved.who else ""
    await journal.add(db, Subject.BUILD, build.id, "hook", f"{decision.reason}{by}")
    return Received(decision.reason, build)


def _moved(push: Push) -> Moved:
    kind, prefix = (RefKind.BRANCH, _HEADS) if push.ref.startswith(_HEADS) else (RefKind.TAG, _TAGS)
    return Moved(kind, push.ref.removeprefix(prefix), push.commit, push.message, push.who[:_NAME_LENGTH], push.paths)


def _problems(hook: Hook) -> Iterator[errors.Problem]:
    if not NAME.fullmatch(hook.app):
        yield errors.Problem("app", f"{hook.app!r} is not a name")
    if not hook.source or hook.source.startswith(("-", builds.UPLOAD)) or "\0" in hook.source:
        yield errors.Problem("source", "must be the git URL to build from", "`pier hook set APP --source URL`")
    for position, rule in enumerate(hook.rules):
        if not NAME.fullmatch(rule.environment):
            yield errors.Problem(f"rules.{position}.environment", f"{rule.environment!r} is not a name")
        yield from _pattern(f"rules.{position}.pattern", rule.pattern)
    for position, path in enumerate(hook.paths):
        yield from _pattern(f"paths.{position}", path)
    if max(len(hook.rules), len(hook.paths)) > _MOST:
        yield errors.Problem("rules", f"there are more than {_MOST}")


def _pattern(place: str, pattern: str) -> Iterator[errors.Problem]:
    try:
        globs.compiled(pattern)
    except re.error as error:
        yield errors.Problem(place, f"{pattern!r} is no pattern: {error}")
    if not pattern.strip("/") or len(pattern) > 250:
        yield errors.Problem(place, "must have 1 to 250 characters")


async def _existing(db: Connection, app: str) -> tuple[Hook, bytes]:
    found = await store.find(db, app)
    if found is None:
        raise _none(app)
    return found


def _none(app: str) -> errors.NotFound:
    return errors.NotFound(f"There is no webhook for {app!r}.", hint=f"`pier hook set {app} --source URL` makes one.")
