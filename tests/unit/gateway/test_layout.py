from __future__ import annotations

from dataclasses import replace

from pierhead.gateway import layout
from pierhead.gateway.layout import Drawn, Layout, Mode
from pierhead.gateway.snapshot import Snapshot
from pierhead.model.app import Protocol
from pierhead.model.instance import Endpoint, State
from pierhead.model.policy import Policy
from pierhead.model.route import Route


def endpoint(id_: str, port: int = 80, state: State = State.HEALTHY, address: str = "10.0.0.1") -> Endpoint:
    return Endpoint(id_, "notes-dev", address, port, state, {"pier-release": "v1"})


def draw(*routes: Route, endpoints: tuple[Endpoint, ...] = (), blocked: dict[int, str] | None = None) -> Layout:
    snapshot = Snapshot({route.name: route for route in routes}, {}, {"notes-dev": endpoints})
    return layout.draw(snapshot, {}, blocked or {})


def reasons(found: Layout) -> list[str]:
    return [f"{problem.route}: {problem.reason}" for problem in found.problems]


def test_hosts_and_paths_become_sites() -> None:
    found = draw(Route("notes", "notes-dev", hosts=("Notes.test", "*.notes.test"), paths=("/", "/api/")))
    assert found.structure.sites == dict.fromkeys(
        ["notes.test/", "notes.test/api/", "*.notes.test/", "*.notes.test/api/"], "http:notes-dev"
    )


def test_a_state_of_the_catalog_becomes_a_mode() -> None:
    states = (State.HEALTHY, State.DRAINING, State.UNHEALTHY)
    found = draw(
        Route("notes", "notes-dev", hosts=("n.test",)),
        endpoints=tuple(endpoint(str(n), n, state) for n, state in enumerate(states, 1)),
    )
    modes = {server.key: server.mode for server in found.pools["http:notes-dev"].servers if server.key}
    assert modes == {("10.0.0.1", 1): Mode.READY, ("10.0.0.1", 2): Mode.DRAIN, ("10.0.0.1", 3): Mode.MAINT}


def test_a_stale_registration_of_the_same_address_does_not_stop_the_live_one() -> None:
    found = draw(
        Route("notes", "notes-dev", hosts=("n.test",)),
        endpoints=(endpoint("dead", 80, State.UNHEALTHY), endpoint("live", 80)),
    )
    seated = [server for server in found.pools["http:notes-dev"].servers if server.key]
    assert [(server.mode, len(server.endpoints)) for server in seated] == [(Mode.READY, 2)]


def test_a_route_that_cannot_be_carried_out_leaves_the_others_alone() -> None:
    found = draw(
        Route("a-good", "notes-dev", hosts=("n.test",)),
        Route("b-host", "notes-dev", hosts=("no host",)),
        Route("c-path", "notes-dev", hosts=("n.test",), paths=("api",)),
        Route("d-nothing", "notes-dev"),
        Route("e-service", "no/service", hosts=("x.test",)),
        Route("f-taken", "other", hosts=("n.test",)),
        Route("g-tcp", "queue", Protocol.TCP, hosts=("q.test",)),
    )
    assert list(found.pools) == ["http:notes-dev"]
    assert reasons(found) == [
        "b-host: 'no host' is no host name",
        "c-path: 'api' is no path",
        "d-nothing: neither hosts nor a service_port lead to it",
        "e-service: 'no/service' cannot be a service's name",
        "f-taken: n.test/ leads to http:notes-dev already",
        "g-tcp: tcp is found by name only where the gateway listens for TLS: the setting gateway.https_port",
    ]


def test_a_port_that_cannot_be_listened_on_leaves_out_its_route() -> None:
    found = draw(
        Route("queue", "queue", Protocol.TCP, service_port=9000), blocked={9000: "another program listens there"}
    )
    assert (found.pools, reasons(found)) == ({}, ["queue: another program listens there"])


def test_an_address_that_is_no_ip_is_left_out_and_shown() -> None:
    found = draw(Route("notes", "notes-dev", hosts=("n.test",)), endpoints=(endpoint("a", address="db.internal"),))
    assert not any(server.key for server in found.pools["http:notes-dev"].servers)
    assert reasons(found) == ["notes-dev: a: db.internal:80 is no IP address"]


def test_a_pool_that_nothing_changed_for_is_taken_over_as_it_is() -> None:
    routes = {name: Route(name, name, hosts=(f"{name}.test",)) for name in ("a", "b")}
    before = Snapshot(routes, {}, {"a": (endpoint("1"),), "b": ()})
    first = layout.draw(before, {}, {})
    after = replace(before, endpoints={**before.endpoints, "b": (endpoint("2", 81),)})
    held = {name: pool.keys for name, pool in first.pools.items()}
    second = layout.draw(after, held, {}, Drawn(before, first))
    assert second.pools["http:a"] is first.pools["http:a"]
    assert second.pools["http:b"].keys[0] == ("10.0.0.1", 81)
    assert second.structure is first.structure


def test_routes_that_do_different_things_with_a_request_have_pools_of_their_own() -> None:
    found = draw(
        Route("a", "notes-dev", hosts=("a.test",)),
        Route("b", "notes-dev", hosts=("b.test",), paths=("/x", "/x/y"), policy=Policy(rewrite="/")),
        Route("c", "", hosts=("c.test",), policy=Policy(redirect="a.test")),
        endpoints=(endpoint("1"),),
    )
    plain, rewritten, redirect = (found.structure.sites[site] for site in ("a.test/", "b.test/x/", "c.test/"))
    assert (plain, rewritten[:15], redirect[:9]) == ("http:notes-dev", "http:notes-dev:", "redirect:")
    assert found.pools[rewritten].paths == ("/x/y", "/x")
    assert [len(found.pools[name].servers) for name in (plain, rewritten, redirect)] == [8, 8, 0]


def test_an_instance_that_drains_gets_nobody_back_by_a_cookie() -> None:
    found = draw(
        Route("a", "notes-dev", hosts=("a.test",), policy=Policy(sticky=True)),
        endpoints=(endpoint("1", state=State.DRAINING),),
    )
    assert {server.mode for pool in found.pools.values() for server in pool.servers} == {Mode.MAINT}


def test_plain_tcp_refuses_what_only_http_has() -> None:
    found = draw(Route("q", "queue", Protocol.TCP, service_port=9000, policy=Policy(sticky=True, balance="path")))
    assert reasons(found) == ["q: tcp carries no HTTP: sticky cannot be set"]
    found = draw(Route("g", "rpc", Protocol.GRPC, hosts=("g.test",), policy=Policy(body_limit=1)))
    assert reasons(found) == ["g: grpc does not say how large a message is: body_limit cannot be set"]


def test_during_a_reload_endpoints_change_as_far_as_they_need_nothing_of_another_file() -> None:
    routes = {name: Route(name, name, hosts=(f"{name}.test",)) for name in ("notes", "shop")}
    first = Snapshot(routes, {}, {name: (endpoint("one"),) for name in routes})
    before = Drawn(first, layout.draw(first, {}, {}))
    more = {**routes, "new": Route("new", "new", hosts=("new.test",))}
    drains = (endpoint("one", state=State.DRAINING), endpoint("two", 81))
    many = tuple(endpoint(str(number), number) for number in range(1, 10))
    now = Snapshot(more, {}, {"notes": drains, "shop": many, "new": many})
    found = layout.overtake(before, now, {"http:notes": 8, "http:shop": 8})
    seated = {server.key: server.mode for server in found.layout.pools["http:notes"].servers if server.key}
    assert seated == {("10.0.0.1", 80): Mode.DRAIN, ("10.0.0.1", 81): Mode.READY}
    assert found.layout.pools["http:shop"] is before.layout.pools["http:shop"]
    assert list(found.layout.pools) == ["http:notes", "http:shop"]
    assert layout.draw(now, {}, {}, found).pools["http:notes"] is found.layout.pools["http:notes"]
    assert layout.overtake(before, replace(now, endpoints=first.endpoints), {}) is before
