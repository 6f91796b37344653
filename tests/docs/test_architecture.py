"""The walk in ARCHITECTURE.md names files and functions that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`([\w/]+\.py):(\w+)`", (ROOT / "ARCHITECTURE.md").read_text())


def test_the_walk_names_something() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_what_the_walk_names_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / "src" / "pierhead" / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert name in {node.name for node in tree.body if isinstance(node, kinds)}
