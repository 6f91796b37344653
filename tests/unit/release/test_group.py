"""The engine services that one release runs as."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from pierhead.model.instance import Label
from pierhead.release.group import Group, groups, volumes_on
from pierhead.wire.docker.services import Service
from pierhead.wire.docker.tasks import Task

ALREADY = "programming external connectivity on x: Bind for 0.0.0.0:20001 failed: port is already allocated"
IN_USE = "Error starting userland proxy: listen tcp4 0.0.0.0:20001: bind: address already in use"


def service(name: str, replicas: int = 1, published: tuple[int, ...] = ()) -> Service:
    return Service(name, name, 1, {Label.RELEASE: "v3"}, replicas, published)


def task(of: str, state: str = "running", desired: str = "running", error: str = "") -> Task:
    return Task("t", of, "n1", "c1", state, desired, error, 0, datetime(2026, 1, 1, tzinfo=UTC), has_ports=True)


def only(services: list[Service], *tasks: Task) -> Group:
    by_service = {one.id: [task for task in tasks if task.service == one.id] for one in services}
    (found,) = groups(services, by_service).values()
    return found


def test_a_release_is_one_service_or_one_for_each_instance() -> None:
    single = service("notes-dev-v3", 2)
    ones = [service("notes-dev-v3-20000"), service("notes-dev-v3-20001")]
    assert only([single]).is_single
    assert (only(ones).name, only(ones).replicas, only(ones).is_single) == ("notes-dev-v3", 2, False)
    number_in_its_name = Service("s", "app-1-2", 1, {Label.RELEASE: "v3"}, 1)
    assert groups([number_in_its_name], {}).keys() == {"app-1-2"}


def test_volumes_are_where_instances_run_and_stay() -> None:
    here, there = task("s"), replace(task("s"), node="n2")
    assert volumes_on([there, here]) == "n1"
    assert volumes_on([there, replace(here, desired="shutdown")]) == "n2"
    assert volumes_on([replace(here, state="failed")]) == ""


def test_what_does_not_run_is_the_first_to_go() -> None:
    ones = [service("notes-dev-v3-20000"), service("notes-dev-v3-20001")]
    found = only(ones, task("notes-dev-v3-20000"))
    assert [member.service.name for member in found.members] == ["notes-dev-v3-20001", "notes-dev-v3-20000"]


def test_a_service_that_is_over_goes_and_the_last_one_stays() -> None:
    over, leaving = service("notes-dev-v3-20000", 0), service("notes-dev-v3-20001", 0)
    assert [member.service.name for member in only([over, leaving], task("notes-dev-v3-20001")).spent] == [over.name]
    assert len(only([over, leaving]).spent) == 1
    assert not only([service("notes-dev-v3", 0)]).spent


def test_a_port_that_another_program_has_is_told_from_the_engines_words() -> None:
    one = service("notes-dev-v3-20000", 1, (20000, 20001))
    for words in (ALREADY, IN_USE):
        (member,) = only([one], task(one.id, "rejected", "shutdown", words)).members
        assert member.taken_ports == {20001}
    (runs,) = only([one], task(one.id, "rejected", "shutdown", ALREADY), task(one.id)).members
    assert not runs.taken_ports
