"""A build: one commit on its way to an image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BuildState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self not in (BuildState.QUEUED, BuildState.RUNNING)


@dataclass(frozen=True, slots=True)
class Build:
    id: int
    app: str
    environment: str
    """Where the image is released once it is there; empty: nowhere."""
    source: str
    """A git URL, or empty when the commits were uploaded."""
    ref: str
    commit: str
    """Empty until the ref has been resolved."""
    subject: str
    state: BuildState
    image: str
    """`host:port/name@sha256:…` once it succeeded."""
    reason: str
    """Why it failed, for a person."""
    deployment: int | None
    """The deployment that it led to."""
    created_at: datetime
    ended_at: datetime | None
    author: str = ""
    """Who asked for it, or pushed what it is of; empty: nobody is known."""
