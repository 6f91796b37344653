"""Which pushes lead to builds, and where those go. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pierhead.kit import globs

_SKIP = re.compile(r"\[(skip ci|ci skip|no ci|skip pier|pier skip)\]", re.IGNORECASE)


class RefKind(StrEnum):
    BRANCH = "branch"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is pushed there is built, and released to `environment`."""

    kind: RefKind
    pattern: str
    """Of the branch's or tag's name: `main`, `release/*`, `v*`."""
    environment: str

    def __str__(self) -> str:
        return f"{self.kind} {self.pattern} → {self.environment}"


@dataclass(frozen=True, slots=True)
class Hook:
    """What an app takes from its git server."""

    app: str
    source: str
    """The git URL that is built; what a delivery says of its own address is not believed."""
    rules: Sequence[Rule]
    """The first one that matches holds."""
    paths: Sequence[str]
    """Patterns: only a push that touches one of them is built. Empty: every push."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Moved:
    """A branch or tag that was pushed."""

    kind: RefKind
    name: str
    commit: str
    """Empty: it was removed."""
    message: str = ""
    who: str = ""
    paths: frozenset[str] | None = None
    """What differs from before; None: not known, and then path patterns hold nothing back."""


@dataclass(frozen=True, slots=True)
class Decision:
    """To which environment the push goes, or why to none."""

    environment: str
    """Empty: it is not built."""
    reason: str


def decide(hook: Hook, moved: Moved) -> Decision:
    """What a push leads to, and why."""
    what = f"{moved.kind} {moved.name}"
    if not moved.commit:
        return Decision("", f"The {what} was removed.")
    rule = next((rule for rule in hook.rules if _matches(rule, moved)), None)
    if rule is None:
        return Decision("", f"No rule of {hook.app} is for the {what}.")
    if found := _SKIP.search(moved.message):
        return Decision("", f"The commit's message says {found[0]}.")
    if hook.paths and moved.paths is not None and not _touches(hook.paths, moved.paths):
        return Decision("", f"Nothing below {', '.join(hook.paths)} was changed.")
    return Decision(rule.environment, f"{what} goes to {rule.environment}")


def _matches(rule: Rule, moved: Moved) -> bool:
    return rule.kind is moved.kind and bool(globs.compiled(rule.pattern).fullmatch(moved.name))


def _touches(patterns: Sequence[str], paths: frozenset[str]) -> bool:
    compiled = [globs.compiled(pattern.strip("/"), below=True) for pattern in patterns]
    return any(pattern.fullmatch(path) for path in paths for pattern in compiled)
