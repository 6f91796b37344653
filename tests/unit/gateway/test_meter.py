"""What went to each release, whatever HAProxy does with its workers and slots meanwhile."""

from __future__ import annotations

from pierhead.gateway.layout import Mode, Pool, Server
from pierhead.gateway.meter import Meter
from pierhead.model.app import Protocol
from pierhead.model.instance import Endpoint, Meta, State
from pierhead.wire.haproxy.records import Load


def pool(**releases: str) -> Pool:
    """Slot → release; every release has an address of its own."""
    servers = []
    for slot, release in releases.items():
        port = 8000 + int(release[1:])
        endpoint = Endpoint(release, "notes-dev", "10.0.0.1", port, State.HEALTHY, {Meta.RELEASE: release})
        servers.append(Server(slot, ("10.0.0.1", port), Mode.READY, 100, (endpoint,)))
    return Pool("http:notes-dev", "notes-dev", Protocol.HTTP, tuple(servers))


def load(slot: str, release: int, answers: int, errors: int = 0, failures: int = 0, ms: int = 0) -> Load:
    return Load(
        slot,
        f"10.0.0.1:{8000 + release}",
        0,
        answers,
        failed=failures,
        answers=answers,
        errors=errors,
        response_ms=ms,
    )


def counted(meter: Meter) -> dict[str, tuple[int, int, int]]:
    return {name: (one.requests, one.errors, one.failures) for name, one in meter.of("notes-dev").items()}


def test_each_request_counts_once_whoever_asks_how_often() -> None:
    meter = Meter()
    for _ in range(3):
        meter.read(pool(s1="v1", s2="v2"), 7, [load("s1", 1, 10), load("s2", 2, 4, errors=2, failures=1)])
    assert counted(meter) == {"v1": (10, 0, 0), "v2": (5, 2, 1)}


def test_a_worker_that_is_replaced_takes_nothing_away() -> None:
    meter = Meter()
    meter.read(pool(s1="v1"), 7, [load("s1", 1, 10)])
    meter.read(pool(s1="v1"), 8, [load("s1", 1, 3)])
    meter.read(pool(s1="v1"), 7, [load("s1", 1, 11)])
    meter.keep([8])
    meter.read(pool(s1="v1"), 8, [load("s1", 1, 5)])
    assert counted(meter) == {"v1": (16, 0, 0)}


def test_a_slot_that_is_given_anew_counts_for_whoever_has_it() -> None:
    meter = Meter()
    meter.read(pool(s1="v1"), 7, [load("s1", 1, 10)])
    meter.read(pool(s1="v2"), 7, [load("s1", 2, 12)])
    assert counted(meter) == {"v1": (10, 0, 0), "v2": (2, 0, 0)}


def test_who_has_left_is_counted_to_its_end() -> None:
    meter = Meter()
    meter.read(pool(s1="v1"), 7, [load("s1", 1, 10)])
    meter.read(pool(), 7, [load("s1", 1, 12)])
    assert counted(meter) == {"v1": (12, 0, 0)}


def test_the_answer_time_is_that_of_all_requests() -> None:
    meter = Meter()
    meter.read(pool(s1="v1", s2="v1"), 7, [load("s1", 1, 30, ms=10), load("s2", 1, 10, ms=50)])
    assert meter.of("notes-dev")["v1"].response_ms == 20


def test_an_answer_that_comes_late_counts_nothing_twice() -> None:
    meter = Meter()
    meter.read(pool(s1="v1"), 7, [load("s1", 1, 12)])
    meter.read(pool(s1="v1"), 7, [load("s1", 1, 10)])
    meter.read(pool(s1="v1"), 7, [load("s1", 1, 15)])
    meter.keep([8])
    meter.read(pool(s1="v1"), 7, [load("s1", 1, 15)])
    assert counted(meter) == {"v1": (15, 0, 0)}
    assert [(key, count.requests) for key, count in meter.counts.items()] == [
        (("notes-dev", "http:notes-dev", "v1"), 15)
    ]
