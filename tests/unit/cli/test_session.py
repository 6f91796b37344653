"""Which server is asked, and as whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.cli import session
from pierhead.kit import errors


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIER_URL", "http://pier.example:4400")
    monkeypatch.setenv("PIER_TOKEN", "mine")


def test_a_variable_that_means_nothing_is_told_and_the_command_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIER_DOMAINE", "corp.example")
    monkeypatch.setenv("PIER_REGION", "eu")
    assert session.login() == session.Login("http://pier.example:4400", "mine")
    assert capsys.readouterr().err.splitlines() == [
        "PIER_DOMAINE is no variable of Pierhead and changes nothing. Did you mean PIER_DOMAIN?",
        "PIER_REGION is no variable of Pierhead and changes nothing.",
    ]


@pytest.mark.parametrize(
    ("name", "meant"), [("PIER_HOEM", "PIER_HOME"), ("PIER_ULR", "PIER_URL"), ("PIER_API_PROT", "PIER_API_PORT")]
)
def test_a_variable_that_is_nearly_the_one_that_says_which_server_is_refused(
    name: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/srv/other")
    with pytest.raises(errors.Invalid) as found:
        session.login()
    assert [str(problem) for problem in found.value.problems] == [f"{name}: is no variable, and {meant} is one"]


def test_this_machine_s_own_is_found_in_spite_of_a_variable_that_means_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PIER_URL")
    monkeypatch.delenv("PIER_TOKEN")
    monkeypatch.setenv("PIER_HOME", str(tmp_path))
    monkeypatch.setenv("PIER_REGION", "eu")
    (tmp_path / "token").write_text("its own\n")
    assert session.login().token == "its own"
