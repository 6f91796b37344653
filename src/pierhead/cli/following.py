"""Events of many instances, shown as they come; a connection that breaks is made again without a line lost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pierhead.cli import console
from pierhead.client import Api
from pierhead.kit import clock, errors
from pierhead.kit.backoff import Backoff

_USUAL = 200
_TRIES = 12
_OVERLAP = timedelta(seconds=10)
"""Lines of several instances do not come in the order of their time."""
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Wanted:
    follow: bool
    tail: int | None
    """None: all since then, or the usual number without a moment."""
    since: str


async def lines(api: Api, path: str, wanted: Wanted) -> AsyncIterator[Mapping[str, Any]]:
    """Every line once. What an instance's node cannot tell is a note. Raises: what the server answers."""
    query: dict[str, str | int] = {"follow": str(wanted.follow).lower(), "since": wanted.since}
    if wanted.tail is not None or not wanted.since:
        query["tail"] = _USUAL if wanted.tail is None else wanted.tail
    shown = _Shown()
    tries, backoff = 0, Backoff(limit=timedelta(seconds=5))
    while True:
        try:
            async for line in events(api, path, query):
                tries = 0
                backoff.succeeded()
                if shown.is_new(line):
                    yield line
            if not wanted.follow:
                return
        except errors.Unavailable:
            tries += 1
            if not wanted.follow or not shown.last or tries == _TRIES:
                raise
        await asyncio.sleep(backoff.failed())
        if shown.last:
            shown.is_again = True
            query = {"follow": "true", "since": clock.text(clock.parse(_micro(shown.last)) - _OVERLAP)}


async def events(api: Api, path: str, query: dict[str, str | int]) -> AsyncIterator[Mapping[str, Any]]:
    """The data of every event until the end; problems are notes."""
    async for event in api.events(path, last=0, **query):
        data = event.get("data", {})
        match event.get("kind"):
            case "end":
                return
            case "problem":
                console.note(f"{data['instance'][:12]}  {data['message']}\n{data['hint']}", style="yellow")
            case _:
                yield data


class _Shown:
    """The last lines that were shown, to know them when they come again."""

    def __init__(self) -> None:
        self.last = ""
        self.is_again = False
        """Lines come that were shown before."""
        self._order: deque[tuple[str, str, str]] = deque()
        self._keys: set[tuple[str, str, str]] = set()

    def is_new(self, line: Mapping[str, Any]) -> bool:
        key = (line["instance"], line["at"], line["text"])
        if key in self._keys:
            return not self.is_again
        self._keys.add(key)
        self._order.append(key)
        if len(self._order) > _REMEMBERED:
            self._keys.discard(self._order.popleft())
        self.last = max(self.last, line["at"])
        return True


def _micro(at: str) -> str:
    """Nanoseconds cut to what Python reads."""
    whole, _, rest = at.partition(".")
    return f"{whole}.{rest.rstrip('Z')[:6]:0<6}+00:00"
