"""Files that a reader never sees half written, and logs that do not grow for ever."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

LOG_LIMIT_BYTES = 16 << 20
_FRESH_NS = 2_000_000_000
"""For so long a file may change again without another time of change: clocks of file systems tick."""

State = tuple[int, ...]
"""Equal ones of a file say that it holds what it held."""


def replace(path: Path, text: str, *, mode: int = 0o600, durable: bool = True) -> None:
    """`path` holds `text`, whole; whoever reads meanwhile sees the old text or the new one. Its folder is made.

    Not `durable`: quick, and a power failure may leave it empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
        if durable:
            _sync(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def state(path: Path, now_ns: int | None = None) -> State:
    """What tells, without reading it, whether a file has changed since. Empty: there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    now = time.time_ns() if now_ns is None else now_ns
    age = now - max(found.st_mtime_ns, found.st_ctime_ns)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, now * (age < _FRESH_NS))


def _sync(folder: Path) -> None:
    """The names in it are on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rotate(log: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> bool:
    """A `log` above the limit is empty and what it held is in `<log>.1`. True when that was so.

    For logs that a program holds open for appending: the file stays the same one. A line that is written during the
    copy may be lost.
    """
    if not log.exists() or log.stat().st_size <= limit_bytes:
        return False
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)
    return True


def size(path: Path) -> int:
    """Bytes; 0 where there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def last_lines(log: Path, count: int, *, start: int = 0) -> list[str]:
    """The last `count` lines of `log` that were written after its byte `start`. None where there is no log."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < start:  # rotated meanwhile
            start = 0
        file.seek(max(start, size - 400 * count))
        lines = file.read().decode(errors="replace").splitlines()
    return lines[-count:]
