"""Deploy keys, known hosts and logins at git servers: given by people, read only by whoever fetches."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model.app import NAME
from pierhead.store import accesses, apps
from pierhead.store.session import Connection
from pierhead.wire.git import keys
from pierhead.wire.git.access import Access, Login

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")
_KNOWN = re.compile(r"(@cert-authority |@revoked )?\S+ (ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+( .*)?")
_MOST_CHARACTERS = 64 << 10


@dataclass(frozen=True, slots=True)
class Shown:
    """Without what is secret."""

    public_key: str
    """Empty: no deploy key was made."""
    known_hosts: str
    host: str
    username: str


async def show(ctx: Context, app: str) -> Shown:
    async with ctx.store.read() as db:
        found = await accesses.find(db, app)
    return Shown(found.public_key, found.known_hosts, found.host, found.username)


async def make_key(ctx: Context, app: str) -> Shown:
    """The app has a new deploy key; the one before is forgotten. Raises: Invalid."""
    private, public = keys.create(f"pier-{app}")
    async with ctx.store.write() as db:
        await _ensure(db, app)
        await accesses.put(db, app, public_key=public, private_key=ctx.keys.seal(private.encode()))
    return await show(ctx, app)


async def set_known_hosts(ctx: Context, app: str, text: str) -> Shown:
    """Only those hosts are believed when this app is fetched by ssh. Empty: those that the machine knows.

    Raises: Invalid (with the line that is none of `known_hosts`).
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    problems = [
        errors.Problem(f"line {number}", "is no line of known_hosts", "`HOST ssh-ed25519 AAAA…`")
        for number, line in enumerate(lines, 1)
        if not _KNOWN.fullmatch(line)
    ]
    if problems or len(text) > _MOST_CHARACTERS:
        raise errors.Invalid("The known hosts were not changed.", problems=problems)
    async with ctx.store.write() as db:
        await _ensure(db, app)
        await accesses.put(db, app, known_hosts="".join(f"{line}\n" for line in lines))
    return await show(ctx, app)


async def set_login(ctx: Context, app: str, login: Login) -> Shown:
    """The app is fetched from that host, by HTTPS, with that name and password. Raises: Invalid."""
    problems = [
        errors.Problem(place, reason)
        for place, is_wrong, reason in (
            ("host", not _HOST.fullmatch(login.host), "must be a name, with `:port` where it is not 443"),
            ("username", not login.username or not login.username.isprintable(), "must be one line"),
            ("password", not login.password or not login.password.isprintable(), "must be one line"),
        )
        if is_wrong
    ]
    if problems or len(login.password) > _MOST_CHARACTERS:
        raise errors.Invalid("The login was not kept.", problems=problems)
    async with ctx.store.write() as db:
        await _ensure(db, app)
        password = ctx.keys.seal(login.password.encode())
        await accesses.put(db, app, host=login.host, username=login.username, password=password)
    return await show(ctx, app)


async def remove(ctx: Context, app: str) -> None:
    """Key, hosts and login are forgotten. Raises: NotFound."""
    async with ctx.store.write() as db:
        if not await accesses.delete(db, app):
            raise errors.NotFound(f"{app} has no deploy key and no login.", hint=f"`pier git key {app}` makes a key.")


async def reveal(ctx: Context, app: str) -> Access:
    """All of it, for the git that fetches and for nothing else."""
    async with ctx.store.read() as db:
        found = await accesses.find(db, app)
    key = ctx.keys.open(found.private_key).decode() if found.private_key else ""
    password = ctx.keys.open(found.password).decode() if found.password else ""
    login = Login(found.host, found.username, password) if password else None
    return Access(key, found.known_hosts, login)


async def _ensure(db: Connection, app: str) -> None:
    if not NAME.fullmatch(app):
        raise errors.Invalid(f"{app!r} is not a name of an app.")
    await apps.ensure(db, app)
