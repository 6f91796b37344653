"""The engine's moments: RFC 3339 with up to nine digits of a second, in UTC or with an offset."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_PARTS = re.compile(r"(?P<whole>[^.Z+]{19})(?:\.(?P<part>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)?")
NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""What the engine gives for what has not happened."""


def moment(text: str) -> datetime:
    """The moment that `text` names, to the microsecond; NEVER for an empty one. Raises: ValueError."""
    if not text:
        return NEVER
    found = _PARTS.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no moment")
    zone = "+00:00" if found["zone"] in (None, "Z") else found["zone"]
    return datetime.fromisoformat(f"{found['whole']}.{(found['part'] or '')[:6]:0<6}{zone}")
