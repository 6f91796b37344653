"""Apps and their environments: what is wanted of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pierhead.control.context import Context
from pierhead.kit import clock, errors
from pierhead.model.environment import Asked, Environment
from pierhead.model.release import Release
from pierhead.store import apps, deployments, environments, releases
from pierhead.store.deployments import Deployment
from pierhead.store.session import Connection

REPLICAS_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Place:
    """One app in one environment: what is released, what moves, where it is reached."""

    app: str
    environment: str
    release: Release | None
    moving: Deployment | None
    replicas: int
    """How many instances should run."""
    wanted_replicas: int | None
    """What `pier scale` asked for, whatever is released; None: what the release says."""
    urls: tuple[str, ...]
    is_in_maintenance: bool = False
    """Gateways show the maintenance page instead of it."""
    blocked: str = ""
    """Why the deployment may not begin yet; empty: it may."""


async def places(ctx: Context, app: str = "") -> Sequence[Place]:
    """Every environment of every app, or of one. Raises: NotFound (no such app)."""
    async with ctx.store.read() as db:
        if app and await apps.find(db, app) is None:
            raise errors.NotFound(f"There is no app {app!r}.", hint="`pier ps` lists the apps.")
        known = await environments.known(db)
        return [await _place(ctx, db, environment, known) for environment in await apps.environments(db, app)]


async def place(ctx: Context, app: str, environment: str) -> Place:
    """Raises: NotFound."""
    for found in await places(ctx, app):
        if found.environment == environment:
            return found
    raise errors.NotFound(f"{app} is not in {environment}.", hint=f"`pier ps {app}` shows where it is.")


async def scale(ctx: Context, app: str, environment: str, replicas: int) -> Place:
    """The environment asks for so many instances, whatever its releases say. Raises: NotFound, Invalid."""
    if not 0 <= replicas <= REPLICAS_LIMIT:
        raise errors.Invalid(f"{replicas} replicas cannot be: 0 to {REPLICAS_LIMIT}.")
    await place(ctx, app, environment)
    async with ctx.store.write() as db:
        await apps.set_replicas(db, app, environment, replicas)
    ctx.release_wanted.set()
    return await place(ctx, app, environment)


async def set_maintenance(ctx: Context, app: str, environment: str, *, is_on: bool) -> Place:
    """Gateways answer with the maintenance page, or with the app again. Raises: NotFound."""
    await place(ctx, app, environment)
    async with ctx.store.write() as db:
        await apps.set_maintenance(db, app, environment, is_on=is_on)
    ctx.release_wanted.set()
    return await place(ctx, app, environment)


async def claim(ctx: Context, app: str, environment: str, lease: timedelta) -> bool:
    """True when this server alone may change the environment's engine services for that long."""
    async with ctx.store.write() as db:
        return await apps.claim(db, app, environment, ctx.owner, clock.now() + lease)


async def remove(ctx: Context, app: str) -> None:
    """The app is forgotten; the release loop ends what of it still runs. Its volumes stay. Raises: NotFound."""
    await places(ctx, app)
    async with ctx.store.write() as db:
        await apps.delete(db, app)
    ctx.release_wanted.set()


async def _place(
    ctx: Context, db: Connection, environment: apps.Environment, known: Mapping[str, Environment]
) -> Place:
    release = await releases.find(db, environment.release_id) if environment.release_id else None
    moving = await deployments.current(db, environment.app, environment.name)
    wanted = environment.replicas
    return Place(
        app=environment.app,
        environment=environment.name,
        release=release,
        moving=moving,
        replicas=wanted if wanted is not None else release.spec.replicas if release else 0,
        wanted_replicas=wanted,
        urls=_urls(ctx, environment, release),
        is_in_maintenance=environment.is_in_maintenance,
        blocked=_blocked(known.get(environment.name, Environment(environment.name)), moving),
    )


def _blocked(environment: Environment, moving: Deployment | None) -> str:
    """Why it may not begin; going back always may."""
    if moving is None or moving.kind == "rollback":
        return ""
    return environment.blocked(Asked(moving.id, moving.author, moving.approvals, moving.override), clock.now())


def _urls(ctx: Context, environment: apps.Environment, release: Release | None) -> tuple[str, ...]:
    """Where its HTTP ports are reached through this machine's gateway; service ports as `tcp://`."""
    if release is None:
        return ()
    gateway = ctx.settings.gateway
    found = []
    for position, port in enumerate(release.spec.ports):
        if port.protocol.value in ("http", "grpc"):
            domains = ctx.domains.of(release.spec, environment.name)
            names = domains.hosts(environment.app, environment.name, port, is_first=position == 0)
            suffix = "" if gateway.http_port == 80 else f":{gateway.http_port}"
            found += [f"http://{name}{suffix}" + ("" if path == "/" else path) for name in names for path in port.paths]
        if port.service_port:
            found.append(f"tcp://{gateway.host}:{port.service_port}")
    return tuple(found)
