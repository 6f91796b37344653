"""Every example in the guide to routing is one that works: files are read, settings are loaded, commands are there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from pierhead import appfile
from pierhead.cli import main
from pierhead.model import route
from pierhead.settings import load

GUIDE = Path(__file__).parents[2] / "docs/guides/routing.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _examples(kind: str) -> list[object]:
    text = GUIDE.read_text()
    found = [(text.count("\n", 0, block.start()) + 1, block[2]) for block in BLOCK.finditer(text) if block[1] == kind]
    return [pytest.param(example, id=f"line {line}") for line, example in found]


@pytest.mark.parametrize("text", _examples("yaml"))
def test_an_app_file_of_the_guide_is_valid(text: str) -> None:
    file = appfile.read(text.encode(), "pier.yaml")
    assert file.spec("dev").ports
    assert file.spec("production").ports


@pytest.mark.parametrize("text", _examples("json"))
def test_a_route_of_the_guide_is_valid(text: str) -> None:
    assert route.read("example", json.loads(text)).hosts


@pytest.mark.parametrize("text", _examples("toml"))
def test_settings_of_the_guide_are_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "pier.toml").write_text(text)
    assert load.load(tmp_path / "pier.toml", {}, {}) != load.load(None, {"PIER_HOME": str(tmp_path / "no")}, {})


@pytest.mark.parametrize("text", _examples("sh"))
def test_a_command_of_the_guide_is_there_with_its_parameters(text: str) -> None:
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["pier"]:
            _parse(words[1:])


def _parse(words: list[str]) -> None:
    command: Any = get_command(main.app)
    while words and not words[0].startswith("-") and isinstance(command, typer.core.TyperGroup):
        _, command, words = command.resolve_command(typer.Context(command), list(words))
    command.parse_args(typer.Context(command), list(words))
