"""Which files of a commit stay out of its image: `.pierignore`, or `.dockerignore` where there is none. Pure.

Source: Dockerfile reference, ".dockerignore file": Go's filepath.Match and `**`; the last match decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pierhead.kit import globs

FILES = (".pierignore", ".dockerignore")
"""The first one that a commit has is read."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    brings_back: bool


def ignoring(text: str) -> Callable[[str], bool]:
    """Tells of a path whether it stays out."""
    rules = [rule for line in text.splitlines() if (rule := _rule(line.strip()))]
    return lambda path: _is_ignored(rules, path)


def _rule(line: str) -> _Rule | None:
    brings_back = line.startswith("!")
    parts = [part for part in line.removeprefix("!").strip().split("/") if part not in ("", ".")]
    if not parts or line.startswith("#"):
        return None
    return _Rule(globs.compiled("/".join(parts), below=True), brings_back)


def _is_ignored(rules: Sequence[_Rule], path: str) -> bool:
    ignored = False
    for rule in rules:
        if rule.brings_back == ignored and rule.pattern.fullmatch(path):
            ignored = not rule.brings_back
    return ignored
