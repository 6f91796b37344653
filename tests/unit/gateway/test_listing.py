"""What a gateway says of its routes."""

from __future__ import annotations

from pierhead.gateway import layout
from pierhead.gateway.layout import Layout
from pierhead.gateway.listing import listing
from pierhead.gateway.snapshot import Snapshot
from pierhead.model.instance import Endpoint, State
from pierhead.model.policy import Policy
from pierhead.model.route import Route

ROUTES = (
    Route("a", "web", hosts=("a.test",)),
    Route("b", "none", hosts=("b.test",)),
    Route("c", "web", hosts=("c.test",), policy=Policy(maintenance=True)),
    Route("d", "", hosts=("d.test",), policy=Policy(redirect="a.test")),
    Route("e", "other", hosts=("a.test",)),
)
SNAPSHOT = Snapshot(
    {route.name: route for route in ROUTES},
    {"f": "a route is a JSON object"},
    {"web": (Endpoint("1", "web", "10.0.0.1", 80, State.HEALTHY, {}),)},
)


def states(found: Layout) -> dict[str, tuple[str, str]]:
    return {one.name: (one.state, one.problem) for one in listing(SNAPSHOT, found)}


def test_every_route_is_listed_with_what_came_of_it() -> None:
    assert states(layout.draw(SNAPSHOT, {}, {})) == {
        "a": ("ready", ""),
        "b": ("no instance", ""),
        "c": ("maintenance", ""),
        "d": ("redirect", ""),
        "e": ("refused", "a.test/ leads to http:web already"),
        "f": ("refused", "a route is a JSON object"),
    }


def test_what_is_not_carried_out_yet_waits() -> None:
    assert {state for name, (state, _) in states(Layout()).items() if name != "f"} == {"waiting"}
