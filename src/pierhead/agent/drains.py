"""Which containers are draining, kept on disk, so that an agent that was killed in the middle goes on with it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pierhead.kit import clock, files

log = logging.getLogger(__name__)

_FOLDER = "drains"


@dataclass(frozen=True, slots=True)
class Drain:
    since: datetime
    """When the stop was asked for."""
    is_signalled: bool = False
    """The app has been sent its real stop signal: nothing is left to do but to see it end."""


class Drains:
    """By container id. A drain is in the file before anybody else knows of it."""

    def __init__(self, data: Path) -> None:
        self._folder = data / _FOLDER
        self._all = {path.stem: drain for path in self._folder.glob("*.json") if (drain := _read(path))}

    def ids(self) -> frozenset[str]:
        return frozenset(self._all)

    def get(self, container: str, started_at: datetime) -> Drain | None:
        """The drain of that run of the container: one of an earlier run is over."""
        drain = self._all.get(container)
        if drain and drain.since < started_at:
            self.end(container)
            return None
        return drain

    def begin(self, container: str, drain: Drain) -> None:
        self._all[container] = drain
        self._write(container, drain)

    def signalled(self, container: str) -> None:
        """Its app has been sent the real signal."""
        if drain := self._all.get(container):
            self.begin(container, replace(drain, is_signalled=True))

    def end(self, container: str) -> None:
        """It is not draining. Idempotent."""
        if self._all.pop(container, None):
            (self._folder / f"{container}.json").unlink(missing_ok=True)

    def _write(self, container: str, drain: Drain) -> None:
        value = {"since": clock.text(drain.since), "is_signalled": drain.is_signalled}
        files.replace(self._folder / f"{container}.json", json.dumps(value), durable=False)


def _read(path: Path) -> Drain | None:
    try:
        value = json.loads(path.read_text())
        return Drain(clock.parse(value["since"]), bool(value["is_signalled"]))
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("Left out a drain that cannot be read.", extra={"file": str(path)})
        path.unlink(missing_ok=True)
        return None
