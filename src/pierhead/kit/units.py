"""Durations and sizes as people write them: `30s`, `1h30m`, `256MiB`."""

from __future__ import annotations

import re
from datetime import timedelta

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")

_SIZE_UNITS = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)")
_LONGEST = timedelta(days=3650)
_LARGEST = 1 << 60


def duration(text: str) -> timedelta:
    """The time that `text` names. Raises: ValueError that says how to write one."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: write 30s, 2m, 1h30m or 500ms")
    seconds = sum(float(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than ten years")
    return timedelta(seconds=seconds)


def duration_text(value: timedelta) -> str:
    """`value` in the largest unit that leaves no rest: `duration` reads it back (to the millisecond)."""
    milliseconds = round(value.total_seconds() * 1000)
    for unit in ("d", "h", "m", "s"):
        whole = round(_DURATION_UNITS[unit] * 1000)
        if milliseconds and milliseconds % whole == 0:
            return f"{milliseconds // whole}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def size(text: str) -> int:
    """The bytes that `text` names. Raises: ValueError that says how to write them."""
    found = _SIZE.fullmatch(text)
    if not found or found[2] not in _SIZE_UNITS:
        raise ValueError(f"{text!r} is no size: write 256MiB, 2GiB, 500MB or a number of bytes")
    count = float(found[1]) * _SIZE_UNITS[found[2]]
    if count > _LARGEST:
        raise ValueError(f"{text!r} is larger than an exbibyte")
    return round(count)


def size_text(count: int) -> str:
    """`count` bytes in the largest binary unit that leaves no rest: `size` reads it back."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count and count % _SIZE_UNITS[unit] == 0:
            return f"{count // _SIZE_UNITS[unit]}{unit}"
    return f"{count}B"
