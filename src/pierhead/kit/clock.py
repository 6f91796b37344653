"""The time, always with its zone; and the text it is shown and stored as."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def moment(epoch_seconds: float) -> datetime:
    """The moment that many seconds after 1970 in UTC."""
    return datetime.fromtimestamp(epoch_seconds, UTC)


def text(at: datetime) -> str:
    """`at` as RFC 3339 in UTC with milliseconds: `2026-11-23T06:10:15.123Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(value: str) -> datetime:
    """The moment that an RFC 3339 text names. Raises: ValueError."""
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return at
