"""What a plan is made from: where an environment is to go, and what runs there now. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pierhead.model.app import Stage, Strategy


class Hook(StrEnum):
    """A command that runs once in the new release's image."""

    NONE = "none"
    """There is none, or it has succeeded."""
    DUE = "due"
    RUNS = "runs"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Target:
    """What should run."""

    name: str
    """The engine service's name: `notes-dev-v3`."""
    replicas: int
    strategy: Strategy = Strategy.ROLLING
    step: int = 1
    moving: timedelta | None = None
    """How long ago the deployment to it last got further; None: it is the release that the environment has."""
    deadline: timedelta = timedelta(minutes=2)
    base: str = ""
    """The engine service of the release that the environment has; empty: it has none."""
    stages: tuple[Stage, ...] = ()
    """Of strategies that move requests: shares of the new release before it has all of them."""
    watch: timedelta = timedelta()
    """How long the new release must hold out with all requests before the deployment is done."""
    share: int | None = None
    """Percent of the requests that routes give to the new release; None: each instance counts the same."""
    held: timedelta = timedelta()
    """How long they have."""
    is_continued: bool = False
    """A person has let it go on from this share."""
    verdict: str = ""
    """Why the gateways' counters speak against it; empty: they do not."""
    undecided: str = ""
    """What the counters still need before they decide; empty: nothing."""
    age: timedelta = timedelta()
    """How long ago the deployment was asked for."""
    blocked: str = ""
    """Why it may not begin yet; empty: it may."""
    before: Hook = Hook.NONE
    after: Hook = Hook.NONE
    hook_error: str = ""
    """What the hook that failed said."""

    @property
    def is_watched(self) -> bool:
        """It has all requests, and has yet to hold out with them."""
        return self.moving is not None and self.share == 100 and bool(self.watch)


@dataclass(frozen=True, slots=True)
class Running:
    """One engine service of the environment as it is."""

    name: str
    replicas: int
    """Asked for."""
    alive: int
    """Containers that have not ended, the draining ones included."""
    ready: int
    """Instances that are healthy and that every live gateway can send requests to."""
    forgetting: int = 0
    """Instances that the engine has not quite forgotten, though they have ended or soon will."""
    attached: int = 0
    """Instances that some gateway could send requests to, whatever their weight."""
    serving: int = 0
    """Instances that some gateway still sends requests to."""
    failures: int = 0
    """Instances that ended or were rejected."""
    error: str = ""
    """What the newest of these said."""
    nodes: tuple[str, ...] = ()
    """Where those that are ready are."""
    waiting: str = ""
    """Why an instance that is not ready is not: `1 of 2 healthy`, `no node has 2 GiB free`."""
