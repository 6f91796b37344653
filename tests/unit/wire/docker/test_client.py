from __future__ import annotations

import pytest

from pierhead.kit import errors
from pierhead.wire.docker import client


@pytest.mark.parametrize(
    ("newest", "oldest", "expected"),
    [("1.41", "1.12", "v1.41"), ("1.47", "1.24", "v1.47"), ("1.52", "1.44", "v1.47"), ("1.43", "", "v1.43")],
)
def test_the_newest_version_that_both_speak_is_used(newest: str, oldest: str, expected: str) -> None:
    assert client.agreed(newest, oldest) == expected


@pytest.mark.parametrize(("newest", "oldest"), [("1.40", "1.12"), ("1.60", "1.48")])
def test_an_engine_without_a_common_version_is_refused(newest: str, oldest: str) -> None:
    with pytest.raises(errors.Conflict, match="speaks the API"):
        client.agreed(newest, oldest)
