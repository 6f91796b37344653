"""Files are replaced whole and logs stay small."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pierhead.kit import files


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "status.json"
    files.replace(path, "one")
    files.replace(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_replacement_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    files.replace(path, "one")
    with pytest.raises(UnicodeEncodeError):
        files.replace(path, "\ud800")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_state_says_whether_a_file_must_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "password"
    assert files.state(path) == ()
    path.write_text("one")
    assert files.state(path) != files.state(path), "it may change within one tick of the clock"
    later = path.stat().st_ctime_ns + 3_000_000_000
    before = files.state(path, later)
    assert files.state(path, later + 1) == before
    files.replace(path, "two")
    assert files.state(path, later + 2) != before


def test_a_large_log_is_set_aside_and_goes_on_in_the_same_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("a") as writer:
        writer.write("x" * 20)
        writer.flush()
        assert files.rotate(log, limit_bytes=10)
        writer.write("new")
    assert log.read_text() == "new"
    assert (tmp_path / "a.log.1").read_text() == "x" * 20
    assert not files.rotate(log, limit_bytes=10)
    assert not files.rotate(tmp_path / "none.log")


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert files.last_lines(log, 3) == []
    log.write_text("".join(f"line {number}\n" for number in range(10)))
    assert files.last_lines(log, 2) == ["line 8", "line 9"]
    assert files.last_lines(log, 5, start=log.stat().st_size - 7) == ["line 9"]
