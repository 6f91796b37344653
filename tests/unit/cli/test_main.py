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


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(main.app, ["deplyo"], prog_name="pier").exit_code == 2
