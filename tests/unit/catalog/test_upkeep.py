from __future__ import annotations

from datetime import timedelta

from pierhead.catalog import registry
from pierhead.catalog.records import Check, Node, Pair, Service, Session
from pierhead.catalog.state import State
from pierhead.catalog.upkeep import Upkeep


def estate() -> Upkeep:
    state = State()
    registry.found_node(state, Node("own", "10.0.0.1"), 8500)
    state.put(Service("own", "a", "web"))
    return Upkeep(state)


def settle(upkeep: Upkeep, now: float) -> None:
    upkeep.state.close()
    while batch := upkeep.state.ledger.take():
        upkeep.follow(batch.rows, now)
        upkeep.state.close()


def check(status: str = "passing", **definition: float) -> Check:
    return Check("own", "service:a", "c", status, service_id="a", kind="ttl", definition=definition)


def status(upkeep: Upkeep) -> tuple[str, str]:
    row = upkeep.state.check("own", "service:a")
    assert row
    return row.status, row.output


def test_a_ttl_runs_out_unless_it_is_kept_alive() -> None:
    upkeep = estate()
    row = upkeep.state.put(check(ttl=10.0))
    settle(upkeep, 0.0)
    upkeep.beat(row, 6.0)
    upkeep.pass_time(15.9)
    assert status(upkeep) == ("passing", "")
    upkeep.pass_time(16.0)
    assert status(upkeep) == ("critical", "TTL expired")


def test_an_expired_ttl_says_what_was_said_last() -> None:
    upkeep = estate()
    upkeep.state.put(check(ttl=10.0))
    settle(upkeep, 0.0)
    row = upkeep.state.check("own", "service:a")
    assert row
    upkeep.report(row, "warning", "hm", 1.0)
    settle(upkeep, 1.0)
    upkeep.pass_time(11.0)
    assert status(upkeep)[1] == "TTL expired (last output before timeout follows): hm"


def test_mere_output_reaches_the_catalog_late_but_the_first_at_once() -> None:
    upkeep = estate()
    upkeep.report(upkeep.state.put(check(ttl=1e6)), "passing", "first", 0.0)
    settle(upkeep, 0.0)
    assert status(upkeep) == ("passing", "first")
    index = upkeep.state.ledger.index
    for second in range(3):
        row = upkeep.state.check("own", "service:a")
        assert row
        upkeep.report(row, "passing", f"{second}", float(second))
        settle(upkeep, float(second))
    assert upkeep.state.ledger.index == index
    assert list(upkeep.outputs.values()) == ["2"]
    upkeep.pass_time(301.0)
    assert status(upkeep) == ("passing", "2")


def test_a_service_that_stays_critical_is_removed_and_one_that_recovers_is_not() -> None:
    for recovers in (False, True):
        upkeep = estate()
        upkeep.state.put(check("critical", ttl=1e6, removal=90.0))
        settle(upkeep, 0.0)
        if recovers:
            row = upkeep.state.check("own", "service:a")
            assert row
            upkeep.report(row, "passing", "", 80.0)
            settle(upkeep, 80.0)
        upkeep.pass_time(90.0)
        assert (upkeep.state.service("own", "a") is not None) == recovers


def test_removal_takes_at_least_a_minute() -> None:
    upkeep = estate()
    assert upkeep.least_removal == timedelta(minutes=1)
    upkeep.state.put(check("critical", ttl=1e6, removal=1.0))
    settle(upkeep, 0.0)
    upkeep.pass_time(59.0)
    assert upkeep.state.service("own", "a")
    upkeep.pass_time(60.0)
    assert upkeep.state.service("own", "a") is None


def test_a_session_ends_at_twice_its_ttl_and_holds_its_keys_back() -> None:
    upkeep = estate()
    session = upkeep.state.put(Session("id", "", "own", "release", "10s", 10.0, 5_000_000_000))
    upkeep.state.put(Pair("k", "", session="id"))
    settle(upkeep, 0.0)
    upkeep.renew(session, 5.0)
    upkeep.pass_time(24.0)
    assert upkeep.state.session("id")
    upkeep.pass_time(25.0)
    assert upkeep.state.session("id") is None
    assert upkeep.locked_until == {"k": 30.0}


def test_sessions_end_when_their_check_turns_critical() -> None:
    upkeep = estate()
    row = upkeep.state.put(check(ttl=1e6))
    upkeep.state.put(Session("id", "", "own", "release", "", 0.0, 0, ("service:a",)))
    settle(upkeep, 0.0)
    upkeep.report(row, "critical", "", 1.0)
    settle(upkeep, 1.0)
    assert upkeep.state.session("id") is None


def test_an_alias_is_as_good_as_what_it_stands_for() -> None:
    upkeep = estate()
    row = upkeep.state.put(check(ttl=1e6))
    alias = Check("own", "alias", "alias", "critical", kind="alias", definition={"alias_service": "a"})
    upkeep.state.put(alias)
    settle(upkeep, 0.0)
    found = upkeep.state.check("own", "alias")
    assert found
    assert (found.status, found.output) == ("passing", "All checks passing.")
    upkeep.report(row, "warning", "slow", 1.0)
    settle(upkeep, 1.0)
    found = upkeep.state.check("own", "alias")
    assert found
    assert (found.status, found.output) == ("warning", 'Aliased check "c" failing: slow')
