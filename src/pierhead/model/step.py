"""What a plan is made of. A step prints itself; the same text is the log line, the journal row and the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: `kind target: cause`, for example `start notes-dev-v3: 0 of 2 running`."""

    kind: str
    target: str
    cause: str = ""
    data: Any = None
    """What `apply` needs to carry it out; never printed."""

    def __str__(self) -> str:
        return f"{self.kind} {self.target}" + (f": {self.cause}" if self.cause else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order in which they are carried out. An empty plan changes nothing."""

    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))

    def __bool__(self) -> bool:
        return bool(self.steps)
