"""A command that runs once in an environment, beside what serves there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class RunState(StrEnum):
    WAITING = "waiting"
    """For a container; its reason says why there is none yet."""
    RUNNING = "running"
    ENDED = "ended"
    """With its exit code."""
    FAILED = "failed"
    """It never ran, or nobody knows how it ended: its reason says why."""

    @property
    def has_ended(self) -> bool:
        return self in (RunState.ENDED, RunState.FAILED)


@dataclass(frozen=True, slots=True)
class Run:
    id: int
    app: str
    environment: str
    release_id: int
    """Whose image, config and secrets it has."""
    author: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(repr=False)
    """Besides those of the release."""
    is_watched: bool
    """Whoever asked for it carries its input and output, and it ends when they go away."""
    state: RunState
    reason: str
    instance: str
    """The container's id; empty while there is none."""
    exit_code: int | None
    output: str
    """The last lines of one that nobody watched."""
    created_at: datetime
    ended_at: datetime | None
