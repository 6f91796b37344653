"""Every route as this gateway carries it out, or why it does not. Pure."""

from __future__ import annotations

from pierhead.gateway.layout import Layout, Mode, Problem, leads, pool_name
from pierhead.gateway.snapshot import Snapshot
from pierhead.model import route as routes
from pierhead.model.route import Listed, Route


def listing(snapshot: Snapshot, layout: Layout) -> list[Listed]:
    """In the order of their names; those whose document cannot be read have nothing but a name."""
    problems = _by_route(layout.problems)
    found = [_listed(route, layout, problems.get(route.name, "")) for route in snapshot.all_routes]
    known = {one.name for one in found}
    found += [_unread(name, reason) for name, reason in snapshot.refused.items() if name not in known]
    return sorted(found, key=lambda one: one.name)


def _by_route(problems: tuple[Problem, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for problem in problems:
        found.setdefault(problem.route, problem.reason)
    return found


def _listed(route: Route, layout: Layout, problem: str) -> Listed:
    return routes.listed(route, _state(route, layout, problem), problem)


def _state(route: Route, layout: Layout, problem: str) -> str:
    pool = layout.pools.get(pool_name(route))
    if pool is None or not leads(layout.structure, route):
        return "refused" if problem else "waiting"
    if route.policy.maintenance:
        return "maintenance"
    if route.policy.redirect:
        return "redirect"
    return "ready" if any(server.mode == Mode.READY for server in pool.servers) else "no instance"


def _unread(name: str, reason: str) -> Listed:
    return Listed(name, (), (), None, "", "", "refused", reason)
