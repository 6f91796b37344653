from __future__ import annotations

from pathlib import Path

from pierhead.gateway import layout, plan
from pierhead.gateway.layout import Mode, Pool, Server
from pierhead.gateway.loaded import Homes, Loaded
from pierhead.gateway.plan import Map
from pierhead.model.app import Protocol
from pierhead.model.policy import Policy
from pierhead.wire.haproxy import records

POOL = "http:notes-dev"
LOADED = Loaded("mark", "head", {POOL: 2, "spare:1": 16, "spare:2": 16}, ("spare:1", "spare:2"))
SITES = Path("/d/sites.map")


def server(name: str, port: int, mode: Mode = Mode.READY, weight: int = 100) -> Server:
    return Server(name, ("10.0.0.1", port), mode, weight)


def pool(*servers: Server, name: str = POOL) -> Pool:
    return Pool(name, name.split(":")[1], Protocol.HTTP, servers)


def actual(*servers: tuple[str, int, int, int], backend: str = POOL) -> plan.Actual:
    """(name, port, weight, admin)"""
    found = {name: records.Server(backend, name, "10.0.0.1", port, w, a) for name, port, w, a in servers}
    return {backend: found}


def told(target: Pool, now: plan.Actual, homes: Homes | None = None, loaded: Loaded = LOADED) -> tuple[str, list[str]]:
    found = plan.plan([target], now, homes or Homes(), loaded)
    return str(found), [command for step in found.steps for command in step.data]


def test_nothing_is_done_where_nothing_differs() -> None:
    assert told(pool(server("s1", 80), Server("s2")), actual(("s1", 80, 100, 4), ("s2", 9, 1, 5))) == ("", [])


def test_a_slot_is_filled_in_maintenance_and_opened_last() -> None:
    text, commands = told(pool(server("s1", 80)), actual(("s1", 9, 1, 0)))
    assert text == f"ready {POOL}/s1: 10.0.0.1:80 weight 100"
    assert commands == [
        f"set server {POOL}/s1 state maint",
        f"set server {POOL}/s1 addr 10.0.0.1 port 80",
        f"set server {POOL}/s1 weight 100",
        f"set server {POOL}/s1 state ready",
    ]


def test_new_servers_come_before_old_ones_leave() -> None:
    target = pool(server("s1", 80, Mode.DRAIN), Server("s2"), server("s3", 82))
    text, _ = told(target, actual(("s1", 80, 100, 0), ("s2", 81, 100, 0), ("s3", 9, 1, 5)))
    assert text.splitlines() == [
        f"ready {POOL}/s3: 10.0.0.1:82 weight 100",
        f"drain {POOL}/s1: 10.0.0.1:80 weight 100",
        f"maint {POOL}/s2: gone from the catalog",
    ]


def test_who_sits_in_a_slot_that_the_pool_does_not_need_any_more_gets_nothing() -> None:
    now = actual(("s1", 80, 100, 0), ("s2", 9, 1, 5), ("s3", 82, 100, 0))
    text, commands = told(pool(server("s1", 80), Server("s2")), now)
    assert text == f"maint {POOL}/s3: gone from the catalog"
    assert commands == [f"set server {POOL}/s3 state maint"]


def test_a_changed_weight_is_only_that() -> None:
    assert told(pool(server("s1", 80, weight=28)), actual(("s1", 80, 100, 0)))[1] == [f"set server {POOL}/s1 weight 28"]


def test_the_weight_of_a_server_that_gets_no_request_is_left_alone() -> None:
    assert told(pool(server("s1", 80, Mode.DRAIN)), actual(("s1", 80, 0, 8))) == ("", [])


def test_a_new_pool_is_in_a_spare_backend_and_led_to_once_somebody_is_there() -> None:
    homes, new = Homes(), pool(server("s1", 80), name="http:web")
    assert homes.seat([pool(), new], LOADED) == ["http:web"]
    sites = Map(SITES, {"n.test/": POOL, "old.test/": POOL}, {"n.test/": "spare:1", "web.test/": "spare:1"})
    found = plan.plan([new], actual(("s1", 9, 1, 5), backend="spare:1"), homes, LOADED, [sites])
    assert str(found).splitlines() == [
        "ready spare:1/s1: 10.0.0.1:80 weight 100",
        "lead n.test/: to spare:1",
        "lead web.test/: to spare:1",
        "lead old.test/: nowhere",
    ]
    assert [step.data[-1] for step in found.steps[1:]] == [
        "set map /d/sites.map n.test/ spare:1",
        "add map /d/sites.map web.test/ spare:1",
        "del map /d/sites.map old.test/",
    ]


def test_a_map_is_replaced_where_order_or_special_characters_matter() -> None:
    ordered = Map(SITES, {".a": "x"}, {".b.a": "y", ".a": "x"}, is_in_order=True)
    odd = Map(SITES, {}, {"a.test/x;y/": POOL})
    same = Map(SITES, {"a": "x", "b": "y"}, {"b": "y", "a": "x"})
    found = plan.plan([], {}, Homes(), LOADED, [ordered, odd, same])
    assert str(found) == "replace sites.map: 1 entries differ\nreplace sites.map: 1 entries differ"


def test_only_plain_pools_that_fit_are_in_spare_backends_and_none_is_used_twice() -> None:
    homes = Homes()
    special = Pool("http:a:1", "a", Protocol.HTTP, (), policy=Policy(sticky=True))
    large = pool(*(server(f"s{n}", n) for n in range(1, 33)), name="http:large")
    assert homes.seat([special, large], LOADED) == []
    assert homes.seat([pool(name=f"http:{name}") for name in "abc"], LOADED) == ["http:a", "http:b"]
    del homes.of["http:a"]
    assert homes.seat([pool(name="http:d")], LOADED) == []


def test_a_reload_says_what_for() -> None:
    pools = {name: pool(*(server(f"s{n}", n) for n in range(1, 5)), name=name) for name in (POOL, "http:new")}
    assert plan.difference(LOADED, "other", pools, Homes()) == (
        f"new pool http:new; more slots {POOL}; listeners, certificates or pages"
    )
    assert plan.difference(LOADED, "head", {POOL: pool()}, Homes()) == ""
    assert plan.difference(Loaded(), "head", {}, Homes()) == "what HAProxy was told is not known"


def test_where_servers_can_be_added_a_full_pool_needs_no_reload() -> None:
    loaded = Loaded("mark", "head", {POOL: 1}, can_add=True)
    target = pool(server("s1", 80), server("s2", 81), Server("s3"))
    assert plan.difference(loaded, "head", {POOL: target}, Homes()) == ""
    text, commands = told(target, actual(("s1", 80, 100, 0)), loaded=loaded)
    assert text == f"ready {POOL}/s2: 10.0.0.1:81 weight 100, added"
    assert commands == [f"add server {POOL}/s2 10.0.0.1:81 id 2 weight 100", f"set server {POOL}/s2 state ready"]


def test_a_server_that_is_missing_is_a_difference_that_no_command_can_mend() -> None:
    assert told(pool(server("s1", 80)), {}) == (f"ready {POOL}/s1: not there", [])


def test_who_sits_in_a_foreign_haproxy_keeps_the_slot() -> None:
    now = actual(("s2", 81, 100, 0), ("s10", 90, 100, 8), ("s1", 80, 100, 1), backend="spare:1")
    assert plan.held(now, Homes({POOL: "spare:1"})) == {POOL: (None, ("10.0.0.1", 81), ("10.0.0.1", 90))}
    assert plan.mode(now["spare:1"]["s10"]) == layout.Mode.DRAIN
