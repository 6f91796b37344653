"""Steps carried out: on the engine, and for routes in the catalog's key-value store. Each is safe to repeat."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from pierhead.control import secrets as stored
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model import route as routes
from pierhead.model.instance import Label
from pierhead.model.release import Release
from pierhead.model.route import Route
from pierhead.model.step import Step
from pierhead.release import service
from pierhead.wire.consul import kv
from pierhead.wire.docker import secrets, services
from pierhead.wire.docker.services import SecretFile, Service

_log = logging.getLogger(__name__)


async def step(ctx: Context, wanted: Step, target: Release | None, known: Mapping[str, Service]) -> None:
    """One step of a plan is done. Raises: Unavailable, or what the engine refuses."""
    if wanted.kind == "create" and target:
        await _create(ctx, target, wanted.data)
    elif wanted.kind == "scale":
        await services.scale(ctx.engine, known[wanted.target], wanted.data)
    elif wanted.kind == "remove":
        await services.remove(ctx.engine, known[wanted.target].id)
    _log.info("Took a step: %s.", wanted)


async def write_routes(ctx: Context, wanted: Mapping[str, Route]) -> None:
    """The catalog has exactly these of our routes; what people wrote there stays. Writes only differences."""
    held, _ = await kv.get_tree(ctx.catalog, routes.PREFIX)
    mine = {pair.key: pair.value for pair in held if _owner(pair.value) == ctx.settings.cluster}
    there = {pair.key for pair in held}
    for route in wanted.values():
        value = json.dumps(routes.document(route), sort_keys=True).encode()
        if route.key in there and route.key not in mine:
            _log.warning("A person wrote the route %s; it is left as it is.", route.name)
        elif mine.get(route.key) != value:
            await kv.put(ctx.catalog, route.key, value)
            _log.info("Wrote a route.", extra={"route": route.name, "hosts": ",".join(route.hosts)})
    for key in mine.keys() - {route.key for route in wanted.values()}:
        await kv.delete(ctx.catalog, key)
        _log.info("Removed a route.", extra={"route": key.removeprefix(routes.PREFIX)})


async def _create(ctx: Context, release: Release, replicas: int) -> None:
    files = [await _secret(ctx, release, name) for name in release.secrets]
    try:
        await services.create(ctx.engine, service.spec(ctx.settings.cluster, release, replicas, files))
    except errors.Conflict:
        _log.debug("The engine service exists already.", extra={"release": release.name})


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
