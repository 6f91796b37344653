"""The last known state on disk: one JSON object a line, the last one about a thing counts.

A change costs a line. The file is written anew when most of its lines count no more, and at the first save of a life.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pierhead.gateway import snapshot as snapshots
from pierhead.gateway.snapshot import Snapshot
from pierhead.kit import files

SPARE_BYTES = 1 << 20
"""Lines that count no more are left until they are more than the others and this."""


class Kept:
    """Used by one thread at a time, and never by the event loop's: an estate is large."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._saved: Snapshot | None = None
        self._whole = 0
        """The size of the file when it was last written anew."""

    def save(self, snapshot: Snapshot) -> None:
        """`snapshot` is on disk, whatever ends now."""
        if self._saved is None or files.size(self.path) > 2 * self._whole + SPARE_BYTES:
            files.replace(self.path, "".join(_lines(Snapshot(), snapshot)))
            self._whole = files.size(self.path)
        else:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(_lines(self._saved, snapshot))
                file.flush()
                os.fsync(file.fileno())
        self._saved = snapshot


def read(path: Path) -> Snapshot:
    """What was saved last; of a line that was cut off by a crash nothing.

    Raises: FileNotFoundError; OSError, ValueError, KeyError, TypeError (it is no such file).
    """
    found: dict[str, dict[str, Any]] = {kind: {} for kind in snapshots.KINDS}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for line in lines:
        if line.endswith("\n"):
            kind, name, value = json.loads(line)
            _put(found[kind], name, value)
    return snapshots.read(found)


def _put(kind: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        kind.pop(name, None)
    else:
        kind[name] = value


def _lines(before: Snapshot, now: Snapshot) -> Iterator[str]:
    for kind, (field, document) in snapshots.KINDS.items():
        old, new = getattr(before, field), getattr(now, field)
        if old is not new:
            yield from (_line(kind, name, document(new[name])) for name in _changed(old, new))
            yield from (_line(kind, name, None) for name in old.keys() - new.keys())


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[str]:
    return (name for name, value in new.items() if old.get(name) is not value)


def _line(kind: str, name: str, value: Any) -> str:
    return json.dumps([kind, name, value], separators=(",", ":")) + "\n"
