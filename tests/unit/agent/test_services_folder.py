"""Which host services there are, whatever is done to their files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.agent.services_folder import Folder

LONG_AGO = (1_700_000_000, 1_700_000_000)


class Case:
    """A folder of files and an agent that looks at it."""

    def __init__(self, place: Path) -> None:
        self.place, self.kept = place / "services.d", place / "kept"
        self.place.mkdir()
        self.again()

    def again(self) -> None:
        """The agent is started anew."""
        self.folder = Folder(self.place, self.kept)

    def write(self, name: str, text: str, *, settled: bool = True) -> None:
        (self.place / name).write_text(text)
        if settled:
            os.utime(self.place / name, LONG_AGO)

    def services(self) -> dict[str, int]:
        return {one.name: one.port for one in self.folder.look().services.values()}

    def problems(self) -> list[str]:
        return [str(one) for wrong in self.folder.look().problems.values() for one in wrong]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_files_are_joined(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}}")
    case.write("b.yml", "services: {two: {port: 2}}")
    for name in ("c.txt", ".d.yaml", "e.yaml~"):
        case.write(name, "services: {no: {port: 9}}")
    assert case.services() == {"one": 1, "two": 2}
    assert case.folder.look().files == {"host:one": "a.yaml", "host:two": "b.yml"}


def test_whether_services_are_gone_is_not_known_before_a_new_file_was_read(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}}", settled=False)
    assert not case.folder.look().is_read
    assert case.folder.look().is_read
    case.write("b.yaml", "services: [")
    assert case.folder.look().is_read


def test_a_file_counts_once_it_stands_still(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}}", settled=False)
    assert case.services() == {}
    case.write("a.yaml", "services: {one: {port: 1}, two: {port: 2}}", settled=False)
    assert case.services() == {}
    assert case.services() == {"one": 1, "two": 2}


def test_a_file_that_is_half_written_takes_nothing_away(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}, two: {port: 2}}")
    case.services()
    case.write("a.yaml", "services: {one: {port: 1}}", settled=False)
    assert case.services() == {"one": 1, "two": 2}
    case.write("a.yaml", "services: {one: {port: 1}, two: {port: 3}}", settled=False)
    assert case.services() == {"one": 1, "two": 2}
    assert case.services() == {"one": 1, "two": 3}


def test_an_invalid_file_is_left_out_whole_and_its_last_valid_version_holds_on(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}}")
    case.write("b.yaml", "services: {two: {port: 2}, bad: {port: 99999}}")
    assert case.services() == {"one": 1}
    case.write("a.yaml", "services: {one: {prt: 1}, new: {port: 5}}\n")
    assert case.services() == {"one": 1}
    assert case.problems() == [
        "a.yaml:1 services.one.port: is needed",
        "a.yaml:1 services.one.prt: there is no such key (did you mean port?)",
        "b.yaml:1 services.bad.port: 99999 is more than 65535",
    ]
    case.write("a.yaml", "services: {one: {port: 7}}")
    assert case.services() == {"one": 7}


def test_the_last_valid_version_holds_on_over_a_restart(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}}")
    case.services()
    case.write("a.yaml", "services: [")
    case.again()
    assert case.services() == {"one": 1}
    assert case.problems()


def test_a_file_that_is_removed_takes_its_services_with_it(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}}")
    case.services()
    (case.place / "a.yaml").unlink()
    assert case.services() == {"one": 1}
    assert case.services() == {}
    case.again()
    assert case.services() == {}


def test_a_file_that_was_removed_while_no_agent_ran_takes_its_services_with_it(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}}")
    case.services()
    (case.place / "a.yaml").unlink()
    case.again()
    case.services()
    assert case.services() == {}


def test_a_file_that_is_replaced_by_removal_and_a_new_one_does_not_flap(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}}")
    case.services()
    (case.place / "a.yaml").unlink()
    assert case.services() == {"one": 1}
    case.write("a.yaml", "services: {one: {port: 1}}", settled=False)
    assert case.services() == {"one": 1}
    assert case.services() == {"one": 1}


def test_a_folder_that_cannot_be_read_takes_nothing_away(case: Case) -> None:
    case.write("a.yaml", "services: {one: {port: 1}}")
    case.services()
    case.place.rename(case.place.with_name("away"))
    for _ in range(3):
        found = case.folder.look()
        assert (list(found.services), found.is_read) == (["host:one"], False)
    assert "cannot be read" in case.problems()[0]
    case.place.mkdir()
    case.services()
    assert case.services() == {}


def test_a_folder_that_never_was_is_no_problem(case: Case) -> None:
    case.place.rmdir()
    assert (case.services(), case.problems()) == ({}, [])


def test_who_had_a_name_first_keeps_it(case: Case) -> None:
    case.write("b.yaml", "services: {one: {port: 1}}")
    case.services()
    case.write("a.yaml", "services: {one: {port: 2}, two: {port: 3}}")
    assert case.services() == {"one": 1}
    assert case.problems() == ["a.yaml services.one: b.yaml has a service of that name"]
    case.write("b.yaml", "services: {other: {port: 1}}")
    case.services()
    assert case.services() == {"one": 2, "two": 3, "other": 1}
    assert case.problems() == []


def test_a_file_that_may_not_be_read_and_one_that_leads_nowhere(case: Case) -> None:
    (case.place / "a.yaml").symlink_to(case.place / "nowhere")
    (case.place / "b.yaml").mkdir()
    os.utime(case.place / "b.yaml", LONG_AGO)
    assert case.services() == {}
    assert case.problems() == ["b.yaml: cannot be read: Is a directory"]
