"""Which pushes are built, and where they go."""

from __future__ import annotations

import pytest

from pierhead.kit import clock
from pierhead.model import hook
from pierhead.model.hook import Hook, Moved, RefKind, Rule

MINE = Hook(
    "shop",
    "https://git.example/shop.git",
    (
        Rule(RefKind.BRANCH, "main", "dev"),
        Rule(RefKind.BRANCH, "release/*", "staging"),
        Rule(RefKind.TAG, "v*", "staging"),
        Rule(RefKind.BRANCH, "**", "sandbox"),
    ),
    (),
    clock.moment(0),
)
BELOW = Hook("shop", MINE.source, MINE.rules[:1], ("services/shop", "*.lock", "/libs/**/till"), clock.moment(0))


def branch(name: str, message: str = "", paths: frozenset[str] | None = None) -> Moved:
    return Moved(RefKind.BRANCH, name, "a" * 40, message, paths=paths)


@pytest.mark.parametrize(
    ("moved", "environment", "reason"),
    [
        (branch("main"), "dev", "branch main goes to dev"),
        (branch("release/7"), "staging", "branch release/7 goes to staging"),
        (branch("release/7/x"), "sandbox", "branch release/7/x goes to sandbox"),
        (branch("v1"), "sandbox", "branch v1 goes to sandbox"),
        (Moved(RefKind.TAG, "v1.2", "a" * 40), "staging", "tag v1.2 goes to staging"),
        (Moved(RefKind.TAG, "nightly", "a" * 40), "", "No rule of shop is for the tag nightly."),
        (Moved(RefKind.BRANCH, "main", ""), "", "The branch main was removed."),
        (branch("main", "Mend it [skip ci]"), "", "The commit's message says [skip ci]."),
        (branch("main", "[CI Skip]\n\nreally"), "", "The commit's message says [CI Skip]."),
        (branch("main", "Say how to skip ci"), "dev", "branch main goes to dev"),
    ],
)
def test_the_first_rule_that_matches_holds(moved: Moved, environment: str, reason: str) -> None:
    assert hook.decide(MINE, moved) == hook.Decision(environment, reason)


@pytest.mark.parametrize(
    ("paths", "is_built"),
    [
        (None, True),
        (frozenset({"services/shop/app.py"}), True),
        (frozenset({"services/shopping/app.py", "README.md"}), False),
        (frozenset({"uv.lock"}), True),
        (frozenset({"deep/uv.lock"}), False),
        (frozenset({"libs/a/b/till/x.py"}), True),
        (frozenset(), False),
    ],
)
def test_a_monorepo_builds_only_what_was_touched(paths: frozenset[str] | None, is_built: bool) -> None:
    decision = hook.decide(BELOW, branch("main", paths=paths))
    assert bool(decision.environment) is is_built
    assert is_built or decision.reason == "Nothing below services/shop, *.lock, /libs/**/till was changed."
