from __future__ import annotations

from pierhead.gateway import layout, plan
from pierhead.gateway.layout import Layout, Mode, Pool, Server, Structure
from pierhead.model.app import Protocol
from pierhead.wire.haproxy import records

POOL = "http:notes-dev"


def server(name: str, port: int, mode: Mode = Mode.READY, weight: int = 100) -> Server:
    return Server(name, ("10.0.0.1", port), mode, weight)


def wanted(*servers: Server) -> Layout:
    pool = Pool(POOL, "notes-dev", Protocol.HTTP, servers)
    return Layout({POOL: pool}, Structure({POOL: len(servers)}, {"n.test/": POOL}))


def actual(*servers: tuple[str, int, int, int]) -> plan.Actual:
    """(name, port, weight, admin)"""
    return {POOL: {name: records.Server(POOL, name, "10.0.0.1", port, w, a) for name, port, w, a in servers}}


def told(target: Layout, now: plan.Actual) -> tuple[str, list[str]]:
    found = plan.plan(target, target.structure, now, target.pools)
    return str(found), [command for step in found.steps for command in step.data]


def test_nothing_is_done_where_nothing_differs() -> None:
    assert told(wanted(server("s1", 80), Server("s2")), actual(("s1", 80, 100, 4), ("s2", 9, 1, 5))) == ("", [])


def test_a_slot_is_filled_in_maintenance_and_opened_last() -> None:
    text, commands = told(wanted(server("s1", 80)), actual(("s1", 9, 1, 0)))
    assert text == f"ready {POOL}/s1: 10.0.0.1:80 weight 100"
    assert commands == [
        f"set server {POOL}/s1 state maint",
        f"set server {POOL}/s1 addr 10.0.0.1 port 80",
        f"set server {POOL}/s1 weight 100",
        f"set server {POOL}/s1 state ready",
    ]


def test_new_servers_come_before_old_ones_leave() -> None:
    target = wanted(server("s1", 80, Mode.DRAIN), Server("s2"), server("s3", 82))
    text, _ = told(target, actual(("s1", 80, 100, 0), ("s2", 81, 100, 0), ("s3", 9, 1, 5)))
    assert text.splitlines() == [
        f"ready {POOL}/s3: 10.0.0.1:82 weight 100",
        f"drain {POOL}/s1: 10.0.0.1:80 weight 100",
        f"maint {POOL}/s2: gone from the catalog",
    ]


def test_a_changed_weight_is_only_that() -> None:
    assert told(wanted(server("s1", 80, weight=28)), actual(("s1", 80, 100, 0)))[1] == [
        f"set server {POOL}/s1 weight 28"
    ]


def test_the_weight_of_a_server_that_gets_no_request_is_left_alone() -> None:
    assert told(wanted(server("s1", 80, Mode.DRAIN)), actual(("s1", 80, 0, 8))) == ("", [])


def test_a_difference_in_structure_is_one_reload_that_says_why() -> None:
    target = wanted(server("s1", 80))
    found = plan.plan(target, Structure({"http:old": 8}, {}, {9000: "http:old"}), {}, target.pools)
    assert str(found) == f"reload haproxy: new pool {POOL}; pool gone http:old; sites n.test/; ports 9000"


def test_a_server_that_is_missing_is_a_difference_that_no_command_can_mend() -> None:
    found = plan.plan(wanted(server("s1", 80)), wanted(server("s1", 80)).structure, {}, [POOL])
    assert str(found) == f"ready {POOL}/s1: not there"


def test_who_sits_in_a_foreign_haproxy_keeps_the_slot() -> None:
    now = actual(("s2", 81, 100, 0), ("s10", 90, 100, 8), ("s1", 80, 100, 1))
    assert plan.held(now) == {POOL: (None, ("10.0.0.1", 81), ("10.0.0.1", 90))}
    assert plan.mode(now[POOL]["s10"]) == layout.Mode.DRAIN
