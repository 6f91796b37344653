"""Config: variables of an app, for all environments and for each. Every change is a revision, and makes a release."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pierhead.control import releases
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model.app import NAME
from pierhead.store import apps, config
from pierhead.store import releases as stored
from pierhead.store.config import EVERYWHERE, Revision
from pierhead.store.deployments import Deployment
from pierhead.store.session import Connection

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_VARIABLES = 1000
_LONGEST = 64 << 10
"""Bytes of one value: an engine hands the environment over in one piece."""

Changes = Mapping[str, str | None]
"""Name → new value; None: remove it."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable as it holds in an environment."""

    name: str
    value: str
    scope: str
    """`pier.yaml`, `all environments`, or the environment's name."""
    is_released: bool
    """What runs has this value."""


@dataclass(frozen=True, slots=True)
class Changed:
    revision: Revision
    deployments: Sequence[Deployment]
    """One for every environment in which the change makes a difference."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A variable that is not the same in two revisions. None: it is not there."""

    name: str
    before: str | None
    after: str | None


async def change(ctx: Context, app: str, environment: str, changes: Changes, author: str, *, later: bool) -> Changed:
    """The config has a new revision, and releases with it are on their way; with `later` the next release has it.

    `environment` empty: for all of them. One transaction: all of it, or nothing.
    Raises: Invalid, NotFound (no such app; no variable to remove), Conflict (nothing would change).
    """
    _check(changes)
    async with ctx.store.write() as db:
        await _existing(db, app, environment)
        held = await config.scope(db, app, environment)
        _check_change(app, environment, held, changes)
        if len({**held, **changes}) > _MOST_VARIABLES:
            raise errors.Invalid(f"An app has at most {_MOST_VARIABLES} variables.")
        places = await apps.environments(db, app)
        before = {place.name: (await config.effective(db, app, place.name))[1] for place in places}
        revision = await config.add(db, app, environment, author, changes)
        started = []
        for place in places if not later else ():
            is_different = (await config.effective(db, app, place.name))[1] != before[place.name]
            if place.release_id and is_different:
                started.append(await releases.again(ctx, db, place, "config", author))
    ctx.release_wanted.set()
    ctx.journal_grew.set()
    return Changed(revision, started)


async def listing(ctx: Context, app: str, environment: str) -> Sequence[Variable]:
    """What holds in an environment, and where it is said; for an empty one what holds in all. Raises: NotFound."""
    async with ctx.store.read() as db:
        await _existing(db, app, environment)
        place = await apps.environment(db, app, environment) if environment else None
        release = await stored.find(db, place.release_id) if place else None
        scopes = {"pier.yaml": release.spec.env if release else {}}
        scopes["all environments"] = await config.scope(db, app, EVERYWHERE)
        if environment:
            scopes[environment] = await config.scope(db, app, environment)
        was = (await config.effective(db, app, environment, release.config))[1] if release else {}
    found = {}
    for scope, variables in scopes.items():
        for name, value in variables.items():
            released = release is not None and (scope == "pier.yaml" or was.get(name) == value)
            found[name] = Variable(name, value, scope, released)
    return [found[name] for name in sorted(found)]


async def history(ctx: Context, app: str) -> Sequence[Revision]:
    """Every revision, the newest first. Raises: NotFound."""
    async with ctx.store.read() as db:
        await _existing(db, app, EVERYWHERE)
        return await config.listing(db, app)


async def diff(ctx: Context, app: str, environment: str, before: int, after: int | None) -> Sequence[Difference]:
    """What changed in the environment from one revision to another; None: to now. Raises: NotFound."""
    async with ctx.store.read() as db:
        await _existing(db, app, environment)
        revisions = {one.number for one in await config.listing(db, app)}
        for number in (before, after):
            if number and number not in revisions:
                raise errors.NotFound(
                    f"The config of {app} has no revision {number}.", hint=f"`pier variable history {app}` lists them."
                )
        old = (await config.effective(db, app, environment, before))[1]
        new = (await config.effective(db, app, environment, after))[1]
    return differences(old, new)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    """By name. Pure."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return [Difference(name, before.get(name), after.get(name)) for name in names]


def _check(changes: Changes) -> None:
    problems = []
    for name, value in changes.items():
        if not _NAME.fullmatch(name):
            problems.append(errors.Problem(name, "is no name of a variable: letters, digits and `_`, no digit first"))
        elif name.startswith("PIER_"):
            problems.append(errors.Problem(name, "names that begin with PIER_ are set by Pierhead"))
        elif value is not None and "\0" in value:
            problems.append(errors.Problem(name, "must not contain a NUL character"))
        elif value is not None and len(value.encode()) > _LONGEST:
            problems.append(errors.Problem(name, f"has more than {_LONGEST >> 10} KiB"))
    if problems:
        raise errors.Invalid("The config was not changed.", problems=problems)
    if not changes:
        raise errors.Invalid("Name at least one variable.")


def _check_change(app: str, environment: str, held: Mapping[str, str], changes: Changes) -> None:
    where = environment or "all environments"
    if missing := [name for name, value in changes.items() if value is None and name not in held]:
        raise errors.NotFound(
            f"{app} has no variable {missing[0]} that was set for {where}.",
            hint=f"`pier variable list {app} --environment {environment or 'dev'}` shows where each is set.",
        )
    if all(held.get(name) == value for name, value in changes.items()):
        raise errors.Conflict(f"{app} has these values for {where} already; nothing was changed.")


async def _existing(db: Connection, app: str, environment: str) -> None:
    if await apps.find(db, app) is None:
        raise errors.NotFound(f"There is no app {app!r}.", hint="`pier ps` lists the apps.")
    if environment and not NAME.fullmatch(environment):
        raise errors.Invalid(f"{environment!r} is no name of an environment.")
