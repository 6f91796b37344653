"""Routes as the gateways carry them out, and those that people write themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.kit.errors import Problem
from pierhead.model import route as routes
from pierhead.model.instance import GATEWAY_SERVICE
from pierhead.model.route import Listed, Route
from pierhead.wire.consul import health, kv

UNKNOWN = "unknown"
_FIELDS_HINT = "docs/reference/routes.md says what each field means."
_LIST_HINT = "`pier routes` shows every route."
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


async def put(ctx: Context, name: str, document: Mapping[str, Any], *, replace_it: bool = False) -> Route:
    """Every gateway carries out the route from now on. Idempotent.

    Raises: Invalid (every mistake with its field), Conflict (another route has its name or its place), Unavailable.
    """
    owned = [Problem("owner", "only Pierhead sets it", "leave it out")] if document.get("owner") else []
    if found := [*routes.problems(name, document), *owned]:
        raise errors.Invalid(f"The route {name} cannot be carried out.", problems=found, hint=_FIELDS_HINT)
    route = routes.read(name, document)
    pairs, _ = await kv.get_tree(ctx.catalog, routes.PREFIX)
    others = {pair.key.removeprefix(routes.PREFIX): pair for pair in pairs}
    before = others.pop(name, None)
    if before:
        _may_change(name, before, is_asked=replace_it or _read(name, before) == route)
    _is_free(route, [read for other, pair in others.items() if (read := _read(other, pair))])
    text = json.dumps(routes.document(route), sort_keys=True)
    if not await kv.put(ctx.catalog, route.key, text.encode(), cas=before.modify_index if before else 0):
        raise errors.Conflict(f"Somebody else changed the route {name} at the same moment.", hint=_LIST_HINT)
    return route


async def remove(ctx: Context, name: str) -> None:
    """No gateway carries out the route any more. Raises: NotFound, Conflict (Pierhead keeps it), Unavailable."""
    before, _ = await kv.get(ctx.catalog, routes.PREFIX + name)
    if before is None:
        raise errors.NotFound(f"There is no route {name} of its own.", hint=_LIST_HINT)
    _may_change(name, before, is_asked=True)
    await kv.delete(ctx.catalog, before.key)


def _may_change(name: str, before: kv.Pair, *, is_asked: bool) -> None:
    """Raises: Conflict."""
    found = _read(name, before)
    if found and found.owner:
        raise errors.Conflict(
            f"The route {name} follows from the releases of {found.service or name} and is kept by Pierhead.",
            hint="Change the app's pier.yaml, or give your own route another name.",
        )
    if not is_asked:
        raise errors.Conflict(
            f"There is another route {name} already.", hint="`pier routes add --replace` puts this one in its place."
        )


def _is_free(route: Route, others: Sequence[Route]) -> None:
    """Raises: Conflict when another route has one of its places."""
    wanted = routes.places(route)
    problems = [
        Problem(place, f"leads to {other.service or 'a redirect'} by the route {other.name} already")
        for other in others
        for place in sorted(wanted & routes.places(other))
    ]
    if problems:
        raise errors.Conflict(
            f"The route {route.name} wants what other routes have.",
            problems=problems,
            hint="Choose other hosts, paths or another port, or remove that route.",
        )


def _read(name: str, pair: kv.Pair) -> Route | None:
    """None: it cannot be read, so no gateway carries it out."""
    try:
        return routes.read(name, json.loads(pair.value))
    except ValueError:
        return None


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
