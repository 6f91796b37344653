"""When an environment may be changed, and what it adds to a release."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pierhead.model.app import Domains, Port, Spec
from pierhead.model.environment import Asked, Environment, Freeze

WEEKEND = Freeze("Fri 16:00", "Mon 08:00", "nobody is here")


def at(day: int, hour: int) -> datetime:
    """In November 2026, of which the 20th is a Friday."""
    return datetime(2026, 11, day, hour, 30, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hour", "is_frozen"), [(20, 15, False), (20, 16, True), (22, 3, True), (23, 8, False)])
def test_a_weekly_freeze_goes_over_the_end_of_the_week(day: int, hour: int, is_frozen: bool) -> None:
    assert bool(WEEKEND.until(at(day, hour))) is is_frozen


def test_a_freeze_says_until_when_and_why() -> None:
    environment = Environment("production", freezes=(WEEKEND,))
    assert environment.blocked(Asked(7), at(21, 12)) == (
        "production is frozen until 2026-11-23 08:00 UTC: nobody is here (`pier deployment override 7`)"
    )
    assert environment.blocked(Asked(7, override="mia: a leak"), at(21, 12)) == ""
    once = Environment("production", freezes=(Freeze("2026-11-19", "2026-11-21T12:00"),))
    assert once.blocked(Asked(7), at(20, 1)).startswith("production is frozen until 2026-11-21 12:00 UTC (")
    assert once.blocked(Asked(7), at(21, 12)) == ""


@pytest.mark.parametrize(("begin", "end"), [("Fri 16:00", "later"), ("2026-11-21", "2026-11-20"), ("", "")])
def test_what_is_no_time_is_refused(begin: str, end: str) -> None:
    with pytest.raises(ValueError, match=r"is no time|is not after"):
        Freeze(begin, end).until(at(20, 1))


def test_so_many_different_people_must_approve() -> None:
    environment = Environment("production", approvals=2)
    assert environment.blocked(Asked(7, "mia", ("mia", "mia")), at(20, 1)) == (
        "waits for approval, 1 of 2 (`pier deployment approve 7`)"
    )
    assert environment.blocked(Asked(7, "mia", ("mia", "lin")), at(20, 1)) == ""


def test_who_asked_for_it_may_not_approve_it_where_the_environment_says_so() -> None:
    environment = Environment("production", approvals=1, not_author=True)
    assert environment.blocked(Asked(7, "mia", ("mia",)), at(20, 1)) == (
        "waits for approval, 0 of 1 of others than mia (`pier deployment approve 7`)"
    )
    assert environment.blocked(Asked(7, "mia", ("mia", "lin")), at(20, 1)) == ""
    assert environment.blocked(Asked(7, "", ("mia",)), at(20, 1)) == ""


def test_it_adds_its_domain_its_size_and_its_nodes() -> None:
    environment = Environment("production", domain="apps.example", replicas=3, labels={"zone": "a", "disk": "hdd"})
    spec = environment.applied(Spec("notes", labels={"disk": "ssd"}))
    assert (spec.replicas, spec.labels) == (3, {"zone": "a", "disk": "ssd"})
    names = Domains("localhost").of(spec, "production").hosts("notes", "production", Port("web", 80), is_first=True)
    assert names == ("notes.production.localhost", "notes.apps.example")
