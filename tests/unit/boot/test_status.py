"""The status is true also when the process that wrote it is dead."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pierhead.boot import home, status
from pierhead.boot.supervise import State, Status
from pierhead.settings import Settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 13, tzinfo=UTC)


def test_parts_of_a_dead_process_are_stopped_and_programs_of_their_own_run_on() -> None:
    known = [Status("engine", State.READY, NOON, "unix:///x"), Status("registry", State.READY, NOON, "127.0.0.1:1")]
    by_name = {part.name: part for part in status.ended(known, {"engine"}, LATER)}
    assert by_name.keys() == set(status.PARTS)
    assert (by_name["engine"].state, by_name["engine"].problem) == (State.DEGRADED, "runs on without Pierhead")
    assert (by_name["registry"].state, by_name["registry"].since) == (State.STOPPED, LATER)
    assert by_name["registry"].hint == "`pier up`"


def test_what_was_stopped_in_order_has_no_problem() -> None:
    known = [Status("registry", State.STOPPED, NOON)]
    found = next(part for part in status.ended(known, set(), LATER) if part.name == "registry")
    assert (found.problem, found.since) == ("", NOON)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"parts": []}'])
def test_a_damaged_or_absent_file_is_nothing_running(tmp_path: Path, text: str) -> None:
    home.run_folder(tmp_path).mkdir()
    home.status_file(tmp_path).write_text(text)
    whole = status.read(tmp_path)
    assert not whole.running
    assert not whole.ready
    assert {part.state for part in whole.parts} == {State.STOPPED}


def test_a_reader_finds_every_address() -> None:
    told = json.loads(json.dumps(status.about(Settings())))
    assert told["addresses"]["api"] == "http://127.0.0.1:4400"
    assert told["cluster"] == "pier"
