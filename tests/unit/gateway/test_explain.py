from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pierhead.gateway import explain, layout, render
from pierhead.gateway.explain import Explained, Running
from pierhead.gateway.frame import CONFIG, HOSTS, SITES, WILDCARDS, Frame
from pierhead.gateway.loaded import Homes, Loaded
from pierhead.gateway.material import Material
from pierhead.gateway.snapshot import Snapshot
from pierhead.model.app import Protocol
from pierhead.model.instance import Endpoint, State
from pierhead.model.policy import Policy
from pierhead.model.route import Route

FRAME = Frame("127.0.0.1", 8080, Path("/d/haproxy"), Path("/d/run"), 1000, 900, https_port=8443)
ROUTES = (
    Route("a", "web", hosts=("a.test", "*.b.test")),
    Route("b", "other", hosts=("a.test",)),
    Route("p", "queue", Protocol.TCP, service_port=9000),
    Route("s", "web", hosts=("s.test",), policy=Policy(sticky=True)),
)
SNAPSHOT = Snapshot(
    {route.name: route for route in ROUTES},
    endpoints={"web": (Endpoint("web-1", "web", "10.0.0.1", 80, State.HEALTHY, {}),)},
    implied={"new": (Route("new.test (metadata of new)", "new", hosts=("new.test",)),)},
    material=Material(has_tls=True, certificates={"own": "-----BEGIN PRIVATE KEY-----"}),
)
SPARES = ("spare:1", "spare:2", "spare:3")


def running(now: Snapshot = SNAPSHOT) -> Running:
    """The service `new` came after the file, and somebody was in the third spare backend before."""
    wanted = layout.draw(now, {}, {})
    before = layout.draw(replace(now, implied={}), {}, {})
    files = render.files(FRAME, before, SPARES)
    homes = Homes({"http:new": "spare:2"}, {"spare:2", "spare:3"})
    told = Loaded(render.mark(files), spares=SPARES)
    return Running(files[CONFIG], render.maps(wanted, homes.of), wanted, homes, told)


def reasons(found: Explained) -> dict[str, str]:
    return {one.name: one.why for one in found.sections}


def test_every_section_says_where_it_comes_from() -> None:
    found = reasons(explain.explain(running(), SNAPSHOT))
    assert found["backend http:web"] == "document pier/routes/a"
    assert found["frontend port:9000"] == "service port 9000: document pier/routes/p"
    sticky = next(why for name, why in found.items() if name.startswith("backend http:web:"))
    assert sticky == "document pier/routes/s; its options: sticky=True"
    assert found["backend spare:1"] == "spare: it waits for a service that is not there yet"
    assert found["backend spare:2"] == "spare, taken by http:new: metadata `route` of the service new"
    assert found["backend spare:3"].startswith("spare, was used")
    assert found["global"] == "settings of this gateway"
    assert all(found.values())


def test_every_entry_of_a_map_says_where_it_comes_from() -> None:
    maps = explain.explain(running(), SNAPSHOT).maps
    found = {(one.map, one.key): (one.value, one.why) for one in maps}
    assert found[SITES, "a.test/"] == ("http:web", "document pier/routes/a")
    assert found[SITES, "new.test/"] == ("spare:2", "metadata `route` of the service new")
    assert found[WILDCARDS, ".b.test"] == ("*.b.test", "document pier/routes/a")
    pool, why = found[HOSTS, "s.test"]
    assert pool.startswith("http:web:")
    assert why == "document pier/routes/s"


def test_it_says_who_sits_where_by_now() -> None:
    found = {one.name: one.servers for one in explain.explain(running(), SNAPSHOT).sections}
    assert found["backend http:web"] == {"s1": "10.0.0.1:80 ready weight 100: web-1"}


def test_what_is_left_out_or_not_there_yet_is_told() -> None:
    later = replace(SNAPSHOT, routes={**SNAPSHOT.routes, "z": Route("z", "late", hosts=("z.test",))})
    found = explain.explain(running(), later)
    assert [(one.route, one.reason) for one in found.left_out] == [("b", "a.test/ leads to http:web already")]
    assert found.pending == ("route z: not carried out yet",)
    other = replace(running(), loaded=Loaded("another"))
    assert "HAProxy runs another one" in explain.explain(other, SNAPSHOT).pending[0]


def test_a_backend_that_nobody_asks_for_any_more_says_so() -> None:
    gone = replace(SNAPSHOT, routes={})
    was = running()
    found = explain.explain(replace(was, layout=layout.draw(gone, {}, {})), gone)
    assert reasons(found)["backend http:web"] == "no route leads here any more; it goes with the next reload"


def test_nothing_of_a_certificate_is_in_it() -> None:
    assert "PRIVATE" not in repr(explain.explain(running(), SNAPSHOT)) + running().text
