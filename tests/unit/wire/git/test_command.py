"""git is asked in one way, and its complaints are told in families."""

from __future__ import annotations

import pytest

from pierhead.kit import errors
from pierhead.wire.git import command


@pytest.mark.parametrize(
    ("complaint", "family"),
    [
        ("fatal: '/tmp/x' does not appear to be a git repository\nfatal: Could not read from remote", errors.Invalid),
        ("fatal: not a git repository (or any of the parent directories): .git", errors.Invalid),
        ("fatal: unable to access 'https://git.internal/': Could not resolve host: git.internal", errors.Unavailable),
        ("fatal: could not read Username for 'https://git.internal': terminal prompts disabled", errors.Denied),
        ("git@git.internal: Permission denied (publickey).\nfatal: Could not read from remote", errors.Denied),
        ("remote: Not here.\nfatal: repository 'https://git.internal/x.git/' not found", errors.NotFound),
        ("fatal: couldn't find remote ref HEAD", errors.Failed),
        ("", errors.Failed),
    ],
)
def test_a_complaint_is_of_a_family(complaint: str, family: type[errors.PierError]) -> None:
    assert type(command.refusal(complaint, "fetch")) is family


def test_what_is_told_is_what_git_says_first() -> None:
    told = command.refusal("remote: noise\nhint: more noise\nfatal: the reason\nfatal: what follows", "fetch")
    assert told.message == "git fetch failed: the reason"


def test_variables_that_change_what_git_says_are_not_handed_on() -> None:
    given = {"GIT_DIR": "/x", "GIT_WORK_TREE": "/x", "PATH": "/bin", "https_proxy": "http://proxy", "LANG": "de_DE"}
    assert command.environment(given) == {
        "PATH": "/bin",
        "https_proxy": "http://proxy",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS_REQUIRE": "never",
        "LC_ALL": "C.UTF-8",
    }
