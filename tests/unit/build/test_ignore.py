"""What `.dockerignore` says is what Docker does with it."""

from __future__ import annotations

import pytest

from pierhead.build import ignore


@pytest.mark.parametrize(
    ("text", "path", "stays_out"),
    [
        ("*.log", "a.log", True),
        ("*.log", "logs/a.log", False),
        ("**/*.log", "logs/deep/a.log", True),
        ("**/*.log", "a.log", True),
        ("docs", "docs/guide/start.md", True),
        ("docs", "docs2/start.md", False),
        ("/docs/", "docs/start.md", True),
        ("docs/*", "docs/a/b", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c].txt", "b.txt", True),
        ("[^a-c].txt", "b.txt", False),
        ("*\n!keep.md", "keep.md", False),
        ("*\n!keep.md", "other.md", True),
        ("docs\n!docs/keep", "docs/keep/x", False),
        ("docs\n!docs/keep\ndocs/keep/secret", "docs/keep/secret", True),
        ("# docs\n\n", "docs", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("a.b", "aXb", False),
        ("**", "any/thing", True),
        ("line", "line\nbreak", False),
        ("*", "line\nbreak", True),
    ],
)
def test_a_pattern_decides(text: str, path: str, stays_out: bool) -> None:
    assert ignore.ignoring(text)(path) is stays_out
