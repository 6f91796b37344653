"""The one tree of errors. The family decides the HTTP status and the exit code.

    PierError
    ├── Refused            the caller must change something
    │   ├── Invalid        400 / exit 2
    │   ├── Denied         401, 403 / exit 3
    │   ├── NotFound       404 / exit 4
    │   └── Conflict       409 / exit 5
    ├── Failed             the work was done and did not succeed: 422 / exit 6
    ├── Unavailable        a part that is needed did not answer: 503 / exit 7
    └── Broken             a promise of Pierhead's own: 500 / exit 70

A class's docstring is its default message. `hint` is the next step for whoever reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at one place of an input."""

    place: str
    """Where: `pier.yaml:12 ports.web.port`, or a field's name."""
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" + (f" ({self.hint})" if self.hint else "")


class PierError(Exception):
    """Something went wrong."""

    def __init__(self, message: str = "", *, hint: str = "", problems: Sequence[Problem] = ()) -> None:
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        self.hint = hint
        self.problems = tuple(problems)
        super().__init__(self.message)

    def __str__(self) -> str:
        lines = [self.message, *(f"  {problem}" for problem in self.problems)]
        return "\n".join(lines) + (f"\n{self.hint}" if self.hint else "")


class Refused(PierError):
    """This cannot be done as asked."""


class Invalid(Refused):
    """The input is not valid."""


class Denied(Refused):
    """This is not allowed."""


class NotFound(Refused):
    """There is no such thing."""


class Conflict(Refused):
    """This cannot be done in the present state."""


class Failed(PierError):
    """The work ended without success."""


class Unavailable(PierError):
    """A part that is needed for this does not answer."""


class Broken(PierError):
    """Pierhead broke a promise of its own."""


_KINDS = {kind.__name__: kind for kind in (Invalid, Denied, NotFound, Conflict, Failed, Unavailable)}


def document(error: PierError) -> dict[str, Any]:
    """The error in the shapes of JSON: `{"kind", "message", "hint", "problems": [{"place", "reason", "hint"}]}`."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "problems": [asdict(problem) for problem in error.problems],
    }


def read(value: Mapping[str, Any]) -> PierError:
    """The error that such a document describes; Broken for a kind that is not the caller's doing.

    Raises: KeyError, TypeError (it is no such document).
    """
    problems = [Problem(p["place"], p["reason"], p["hint"]) for p in value["problems"]]
    return _KINDS.get(value["kind"], Broken)(value["message"], hint=value["hint"], problems=problems)
