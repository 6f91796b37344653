"""Routes as the gateways carry them out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.model import route as routes
from pierhead.model.instance import GATEWAY_SERVICE
from pierhead.model.route import Listed, Route
from pierhead.wire.consul import health, kv

UNKNOWN = "unknown"
_WORST_FIRST = ("refused", UNKNOWN, "waiting", "no instance", "maintenance", "redirect", "ready")


async def listing(ctx: Context) -> Sequence[Listed]:
    """Every route, those that a service's metadata asks for included; the worst that any live gateway says of it.

    Raises: Unavailable (the catalog).
    """
    pairs, _ = await kv.get_tree(ctx.catalog, routes.PREFIX)
    found = {pair.key.removeprefix(routes.PREFIX): [_of_document(pair.key, pair.value)] for pair in pairs}
    live, _ = await health.service(ctx.catalog, GATEWAY_SERVICE, passing=True)
    answers = {entry.service.id: await _asked(ctx, f"{entry.address}:{entry.service.port}") for entry in live}
    for gateway, answer in answers.items():
        for said in answer or ():
            found.setdefault(said["name"], []).append(_said(said, gateway))
    is_whole = bool(answers) and None not in answers.values()
    return [_joined(found[name], is_whole=is_whole) for name in sorted(found)]


async def _asked(ctx: Context, address: str) -> Sequence[Mapping[str, Any]] | None:
    try:
        return await ctx.gateways.routes(address)
    except errors.Unavailable:
        return None


def _of_document(key: str, value: bytes) -> Listed:
    name = key.removeprefix(routes.PREFIX)
    try:
        read = routes.read(name, json.loads(value))
    except ValueError as error:
        return routes.listed(Route(name, ""), "refused", str(error))
    return routes.listed(read, UNKNOWN)


def _said(said: Mapping[str, Any], gateway: str) -> Listed:
    problem = f"{gateway}: {said['problem']}" if said["problem"] else ""
    return Listed(**{**said, "hosts": tuple(said["hosts"]), "paths": tuple(said["paths"]), "problem": problem})


def _joined(found: Sequence[Listed], *, is_whole: bool) -> Listed:
    """What the gateways say counts; what the document says only where none speaks of it."""
    said = [one for one in found if one.state != UNKNOWN] or list(found)
    worst = min(said, key=lambda one: (_WORST_FIRST.index(one.state), not one.problem))
    state = worst.state if is_whole or worst.state == "refused" else UNKNOWN
    problem = worst.problem or next((one.problem for one in said if one.problem), "")
    base = max(found, key=lambda one: len(one.service))
    return replace(base, state=state, problem=problem)
