"""A record and an answer in the resolver's own words; `serve` turns them into messages. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Resource:
    name: str
    kind: str
    ttl: int
    data: str
    """As a zone file has it."""


@dataclass(frozen=True, slots=True)
class Answer:
    code: str = "NOERROR"
    answers: tuple[Resource, ...] = ()
    authority: tuple[Resource, ...] = ()
    additional: tuple[Resource, ...] = ()

    def rotated(self, by: int) -> Answer:
        """The same answer with its records in another order, so that not everybody takes the first one."""
        if len(self.answers) < 2:
            return self
        first = by % len(self.answers)
        return replace(self, answers=self.answers[first:] + self.answers[:first])
