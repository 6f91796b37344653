"""Every command is where the table says, and explains itself."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pierhead.cli import main


@pytest.mark.parametrize("name", [*main.COMMANDS, *main.GROUPS])
def test_a_command_explains_itself(name: str) -> None:
    ended = CliRunner().invoke(main.app, [name, "--help"], prog_name="pier")
    assert ended.exit_code == 0, ended.output
    assert f"pier {name}" in ended.output


@pytest.mark.parametrize("name", [*main.COMMANDS, *main.GROUPS])
def test_a_command_is_listed_by_the_first_sentence_of_its_own_help(name: str) -> None:
    listed = (main.COMMANDS.get(name) or main.GROUPS[name]).text
    assert main.find(name).get_short_help_str(200) == listed


def test_an_unknown_command_is_refused() -> None:
    ended = CliRunner().invoke(main.app, ["deplyo"], prog_name="pier")
    assert ended.exit_code == 2
    assert "Did you mean 'deploy'" in ended.output
