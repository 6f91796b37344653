from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pierhead.wire.docker.moments import NEVER, moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T06:10:15.123456789Z", datetime(2026, 11, 23, 6, 10, 15, 123456, UTC)),
        ("2026-11-23T06:10:15.1Z", datetime(2026, 11, 23, 6, 10, 15, 100000, UTC)),
        ("2026-11-23T06:10:15Z", datetime(2026, 11, 23, 6, 10, 15, 0, UTC)),
        ("2026-11-23T08:10:15.5+02:00", datetime(2026, 11, 23, 6, 10, 15, 500000, UTC)),
        ("", NEVER),
        ("0001-01-01T00:00:00Z", NEVER),
    ],
)
def test_every_form_that_engines_write_is_read(text: str, expected: datetime) -> None:
    assert moment(text) == expected


def test_anything_else_is_refused() -> None:
    with pytest.raises(ValueError, match="no moment"):
        moment("yesterday")
