"""One request of a git server, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pierhead.kit import errors


class Provider(StrEnum):
    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    """Gitea and Forgejo."""
    PLAIN = "plain"
    """Whoever signs a small document of its own: see `payload`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The request as it came."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)

    def header(self, *names: str) -> str:
        """The first of them that was sent; empty for none."""
        return next((self.headers[name] for name in names if self.headers.get(name)), "")


@dataclass(frozen=True, slots=True)
class Push:
    """A branch or tag has moved."""

    ref: str
    """`refs/heads/main`"""
    commit: str
    """What it names now: a commit, or the object of an annotated tag. Empty: it is gone."""
    message: str = ""
    """The whole message of that commit, where the server says it."""
    who: str = ""
    paths: frozenset[str] | None = None
    """Every file that differs from before. None: the server does not say, or not all of it."""


@dataclass(frozen=True, slots=True)
class Other:
    """Something that is no push."""

    name: str
    is_ping: bool = False
    """A test of the connection."""


def provider(delivery: Delivery) -> Provider:
    """Who speaks. Gitea also sends GitHub's headers, so it is looked for first. Raises: Invalid."""
    for found, names in (
        (Provider.GITEA, ("x-gitea-event", "x-forgejo-event")),
        (Provider.GITHUB, ("x-github-event",)),
        (Provider.GITLAB, ("x-gitlab-event",)),
        (Provider.PLAIN, ("x-pier-signature",)),
    ):
        if delivery.header(*names):
            return found
    raise errors.Invalid(
        "This is no webhook that Pierhead knows: it has none of the headers X-GitHub-Event, X-GitLab-Event, "
        "X-Gitea-Event and X-Pier-Signature.",
        hint="docs/guides/builds.md shows how each is set up, and how a request of your own is signed.",
    )
