"""Who this Pierhead is at its registry: the embedded one's accounts, which it makes itself, or one that it was given.

Engines are told with every engine service, so that any node can pull. An account is replaced without a gap: the new one
is let in beside the old one, every engine service is told, and only then is the old one forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from pierhead.control.context import Context
from pierhead.kit import clock, errors, files
from pierhead.model import prune
from pierhead.model.instance import Label
from pierhead.model.release import Release
from pierhead.settings import Settings, load
from pierhead.store import apps, builds
from pierhead.wire.docker import services
from pierhead.wire.docker.images import Credentials
from pierhead.wire.docker.services import Service
from pierhead.wire.oci import distribution
from pierhead.wire.oci.access import Access, Account
from pierhead.wire.oci.client import Registry

_log = logging.getLogger(__name__)
_PREFIX = "pier-"
_MARK_LENGTH = 12
_LONG = timedelta(minutes=10)
"""Base images are pushed by a command too, whenever somebody likes."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of the accounts."""

    account: str
    """The name of the one that is used from now on."""
    old: Sequence[str]
    """Names of those that are still let in until every engine service has been told."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What may be known of the registry."""

    address: str
    is_embedded: bool
    account: str
    """The name; empty: none is needed."""
    old: Sequence[str]
    """Names of accounts that are still let in."""
    services: int
    """Engine services of this cluster."""
    told: int
    """Those whose nodes know the account."""


def access(settings: Settings) -> Access:
    """Where images are, and who Pierhead is there. What changes in its files holds at once, and is read once.

    Raises: NotFound, Invalid, Denied (a file that the settings name).
    """
    told = settings.registry
    if not told.address:
        known = _accounts(settings)
        return Access(settings.registry_address, known[0] if known else None, told.ca_file)
    if not told.username:
        return Access(told.address, None, told.ca_file)
    file = Path(told.password_file)
    password = _password(file, files.state(file))
    return Access(told.address, Account(told.username, password), told.ca_file)


def credentials(found: Access) -> Credentials | None:
    """The same for an engine; None where nobody asks."""
    account = found.account
    return Credentials(account.username, account.password, found.host) if account else None


def mark(ctx: Context, found: Access) -> dict[str, str]:
    """The label of an engine service whose nodes were told this account. Tells nothing about the password."""
    if found.account is None:
        return {}
    text = f"{found.account.username}:{found.account.password}".encode()
    return {Label.ACCOUNT: hmac.new(ctx.keys.held.current, text, hashlib.sha256).hexdigest()[:_MARK_LENGTH]}


def prepare(settings: Settings) -> None:
    """The embedded registry has an account, and its own file lets all accounts in."""
    known = _accounts(settings) or [_made(0)]
    _write(settings, known)


async def show(ctx: Context) -> Shown:
    """The registry, its account, and who knows it. Raises: Unavailable."""
    settings = ctx.settings
    found = access(settings)
    wanted = mark(ctx, found).get(Label.ACCOUNT)
    there = await services.listing(ctx.engine, {Label.CLUSTER: settings.cluster})
    is_embedded = not settings.registry.address
    old = [one.username for one in _accounts(settings)[1:]] if is_embedded else []
    name = found.account.username if found.account else ""
    told = sum(one.labels.get(Label.ACCOUNT) == wanted for one in there)
    return Shown(found.address, is_embedded, name, old, len(there), told)


async def rotate(ctx: Context) -> Told:
    """A new account is used from now on; `settle` ends the old one. With a registry elsewhere: what its password file
    says now is told to every engine service.
    """
    settings = ctx.settings
    if settings.registry.address:
        account = access(settings).account
        if account is None:
            raise errors.Conflict(
                f"There is no account at {settings.registry.address}.",
                hint="The settings registry.username and registry.password_file name one.",
            )
        ctx.release_wanted.set()
        return Told(account.username, ())
    known = _accounts(settings)
    last = int(known[0].username.removeprefix(_PREFIX)) if known else 0
    made = _made(last)
    _write(settings, [made, *known])
    ctx.release_wanted.set()
    return Told(made.username, tuple(one.username for one in known))


async def settle(ctx: Context, there: Iterable[Service]) -> None:
    """Every engine service of ours has been told the account; when all have, and nothing is built, older ones are
    forgotten. Called again and again. Raises: Unavailable.
    """
    try:
        found = access(ctx.settings)
    except errors.Refused as error:
        _log.warning("Engine services keep the registry account that they have: %s", error.message)
        return
    wanted, known = mark(ctx, found), credentials(found)
    late = [one for one in there if one.labels.get(Label.ACCOUNT) != wanted.get(Label.ACCOUNT)]
    if known is None or not late:
        await _forget(ctx)
        return
    for one in late:
        try:
            await services.tell(ctx.engine, one, wanted, known)
        except (errors.Conflict, errors.NotFound):
            _log.debug("An engine service changed meanwhile.", extra={"service": one.name})
        else:
            _log.info("Told an engine service the registry account.", extra={"service": one.name})


async def require_image(ctx: Context, release: Release) -> None:
    """The registry has the release's image, or cannot say. Raises: Conflict (it has it no more)."""
    try:
        found = access(ctx.settings)
        name, _, digest = release.image.removeprefix(f"{found.address}/").rpartition("@")
        async with Registry(found) as connected:
            is_there = await connected.manifest(name, digest) is not None
    except errors.PierError as error:
        _log.warning("The registry does not say whether it has an image: nodes may have it. %s", error.message)
        return
    if not is_there:
        raise _gone(ctx, release, "is no longer in the registry")


def refuse_pruned(ctx: Context, release: Release) -> None:
    """Raises: Conflict (its image was pruned, or is about to be)."""
    if release.pruned_at:
        raise _gone(ctx, release, f"was pruned at {clock.text(release.pruned_at)[:19]}")


def _gone(ctx: Context, release: Release, how: str) -> errors.Conflict:
    return errors.Conflict(
        f"{release.app} {release.name} cannot run any more: its image {how}.",
        hint=f"`pier prune` keeps those of the last {ctx.settings.retain_releases} releases (retain_releases). "
        f"Deploy its commit {release.commit[:10]} again: that builds it.",
    )


async def forget_uploads(ctx: Context) -> None:
    """What a failed build had begun to push takes no room in the embedded registry, once nothing is built any more."""
    if ctx.settings.registry.address:
        return
    async with ctx.registry_quiet:
        async with ctx.store.read() as db:
            names = [app.name for app in await apps.listing(db)]
            is_busy = bool(await builds.running(db))
        if not is_busy:
            storage = ctx.settings.registry_storage
            await asyncio.to_thread(distribution.forget_uploads, storage, [*names, prune.CACHE])
            await asyncio.to_thread(distribution.forget_uploads, storage, ["base/*", "base/external/*"], _LONG)


async def _forget(ctx: Context) -> None:
    """Only the newest account of the embedded registry is let in. Not while something is built: that began before."""
    known = _accounts(ctx.settings) if not ctx.settings.registry.address else []
    if len(known) < 2:
        return
    async with ctx.store.read() as db:
        if await builds.running(db):
            return
    _write(ctx.settings, known[:1])
    _log.info("Forgot old registry accounts.", extra={"accounts": ",".join(one.username for one in known[1:])})


def _made(last: int) -> Account:
    return Account(f"{_PREFIX}{last + 1}", secrets.token_urlsafe(32))


def _accounts(settings: Settings) -> list[Account]:
    file = settings.registry_accounts
    return list(_read(file, files.state(file)))


@lru_cache(maxsize=4)
def _read(file: Path, state: files.State) -> Sequence[Account]:
    lines = file.read_text().split() if state else []
    return [Account(name, password) for name, _, password in (line.partition(":") for line in lines)]


@lru_cache(maxsize=4)
def _password(file: Path, _state: files.State) -> str:
    return load.secret("registry.password_file", file)


def _write(settings: Settings, accounts: Sequence[Account]) -> None:
    """Let in first, then known: whoever reads the newest account is let in."""
    files.replace(settings.registry_htpasswd, distribution.htpasswd(accounts))
    files.replace(settings.registry_accounts, "".join(f"{one.username}:{one.password}\n" for one in accounts))
