"""Steps carried out: on the engine, and for routes in the catalog's key-value store. Each is safe to repeat."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pierhead.control import host_ports, registry
from pierhead.control import secrets as stored
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model import route as routes
from pierhead.model.instance import Label
from pierhead.model.release import Release, engine_name
from pierhead.model.route import Route
from pierhead.model.run import Run
from pierhead.model.step import Step
from pierhead.release import service
from pierhead.release.group import Group, volumes_on
from pierhead.wire.consul import kv
from pierhead.wire.consul.kv import Pair
from pierhead.wire.docker import secrets, services
from pierhead.wire.docker.services import SecretFile, ServiceSpec
from pierhead.wire.docker.tasks import Task

_log = logging.getLogger(__name__)


async def step(ctx: Context, wanted: Step, target: Release | None, known: Mapping[str, Group]) -> None:
    """One step of a plan is done. Raises: Unavailable, Conflict (no host port is free), or what the engine refuses."""
    if wanted.kind == "create" and target:
        await _create(ctx, target, wanted.data)
    elif wanted.kind == "run" and target:
        await _run(ctx, target, wanted.data, volumes_on(task for group in known.values() for task in group.tasks))
    elif wanted.kind == "scale":
        await _scale(ctx, known[wanted.target], wanted.data, target)
    elif wanted.kind == "remove":
        for member in known[wanted.target].members:
            await services.remove(ctx.engine, member.service.id)
    _log.info("Took a step: %s.", wanted)


async def tidy(ctx: Context, group: Group) -> bool:
    """Engine services for one instance that are over are gone, and those whose host port another program has are let
    go, so that others take their place. True when something was done.

    Raises: Invalid (other programs have too many of the ports), Unavailable.
    """
    for member in group.spent:
        await services.remove(ctx.engine, member.service.id)
    refused = [member for member in group.members if member.taken_ports]
    for member in refused:
        await host_ports.refused(ctx, group.name, member.service.name, member.taken_ports)
        await services.scale(ctx.engine, member.service, 0)
    return bool(group.spent or refused)


async def held_routes(ctx: Context) -> Sequence[Pair]:
    """Every route that the catalog has. Read before anything else is looked at: see `write_routes`."""
    return (await kv.get_tree(ctx.catalog, routes.PREFIX))[0]


async def write_routes(ctx: Context, held: Sequence[Pair], wanted: Mapping[str, Route]) -> None:
    """The catalog has exactly these of our routes; what people wrote there stays. Writes only differences.

    `held` is what it had before it was known what is wanted. What somebody changed since stays as it is: a server that
    was stopped in between, while another one went on, writes nothing of what it knew then.
    """
    mine = {pair.key: pair for pair in held if _owner(pair.value) == ctx.settings.cluster}
    there = {pair.key for pair in held}
    for route in wanted.values():
        value = json.dumps(routes.document(route), sort_keys=True).encode()
        known = mine.get(route.key)
        if route.key in there and known is None:
            _log.warning("A person wrote the route %s; it is left as it is.", route.name)
        elif known and known.value == value:
            continue
        elif await kv.put(ctx.catalog, route.key, value, cas=known.modify_index if known else 0):
            _log.info("Wrote a route.", extra={"route": route.name, "hosts": ",".join(route.hosts)})
    for key in mine.keys() - {route.key for route in wanted.values()}:
        if await kv.delete(ctx.catalog, key, cas=mine[key].modify_index):
            _log.info("Removed a route.", extra={"route": key.removeprefix(routes.PREFIX)})


async def _create(ctx: Context, release: Release, replicas: int) -> None:
    if release.spec.own_ports:
        for number in range(max(replicas, 1)):
            await _create_one(ctx, release, min(replicas - number, 1))
        return
    try:
        await _created(ctx, await _spec(ctx, release, replicas))
    except errors.Conflict:
        _log.debug("The engine service exists already.", extra={"release": release.name})


async def _run(ctx: Context, release: Release, hook: str, node: str) -> None:
    """The hook runs, or has run: its engine service stays until what became of it is written down."""
    files = [await _secret(ctx, release, name) for name in release.secrets]
    place = service.Place(ctx.settings.cluster, ctx.settings.mount, node)
    try:
        command = getattr(release.spec.deploy.hooks, hook)
        await _created(ctx, service.job(place, release, files, hook, command))
    except errors.Conflict:
        _log.debug("The hook's engine service exists already.", extra={"release": release.name, "hook": hook})


async def run(ctx: Context, release: Release, wanted: Run, tasks: Iterable[Task]) -> None:
    """The run has an engine service, on a node where the `tasks` of the app have their volumes. Idempotent.

    Raises: what the engine refuses, Unavailable.
    """
    files = [await _secret(ctx, release, name) for name in release.secrets]
    place = service.Place(ctx.settings.cluster, ctx.settings.mount, volumes_on(tasks))
    try:
        await _created(ctx, service.run(place, release, files, wanted))
    except errors.Conflict:
        _log.debug("The run's engine service exists already.", extra={"run": wanted.id})


async def _create_one(ctx: Context, release: Release, replicas: int) -> None:
    """An engine service for one instance, with host ports of its own. Raises: Conflict (none is free)."""
    ports = release.spec.own_ports
    group = engine_name(ctx.settings.cluster, release.app, release.environment, release.number)
    name, numbers = await host_ports.take(ctx, group, len(ports))
    one = service.One(name, {port.name: number for port, number in zip(ports, numbers, strict=True)})
    await _created(ctx, await _spec(ctx, release, replicas, one))


async def _spec(ctx: Context, release: Release, replicas: int, one: service.One | None = None) -> ServiceSpec:
    files = [await _secret(ctx, release, name) for name in release.secrets]
    place = service.Place(ctx.settings.cluster, ctx.settings.mount)
    return service.spec(place, release, replicas, files, one)


async def _created(ctx: Context, wanted: ServiceSpec) -> None:
    """The engine service exists, and every node can pull its image. Raises: Conflict (there is one of that name)."""
    access = registry.access(ctx.settings)
    marked = replace(wanted, marks=registry.mark(ctx, access))
    await services.create(ctx.engine, marked, registry.credentials(access))


async def _scale(ctx: Context, group: Group, replicas: int, target: Release | None) -> None:
    if group.is_single:
        await services.scale(ctx.engine, group.members[0].service, replicas)
        return
    surplus = [member for member in group.members if member.service.replicas][: max(group.replicas - replicas, 0)]
    for member in surplus:
        await services.scale(ctx.engine, member.service, 0)
    if target:
        for _ in range(replicas - group.replicas):
            await _create_one(ctx, target, 1)


async def _secret(ctx: Context, release: Release, name: str) -> SecretFile:
    own = service.secret_name(ctx.settings.cluster, release, name)
    value = await stored.reveal(ctx, release.app, release.environment, name, release.secrets[name])
    found = await secrets.ensure(ctx.engine, own, value, {Label.CLUSTER: ctx.settings.cluster, Label.APP: release.app})
    return SecretFile(found, own, name)


def _owner(value: bytes) -> str:
    try:
        return str(json.loads(value).get("owner", ""))
    except (ValueError, AttributeError):
        return ""
