from __future__ import annotations

import pytest

from pierhead.kit import errors as kit_errors
from pierhead.wire.docker import errors


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (400, kit_errors.Invalid),
        (404, kit_errors.NotFound),
        (409, kit_errors.Conflict),
        (500, kit_errors.Unavailable),
        (503, kit_errors.Unavailable),
    ],
)
def test_a_refusal_has_its_family_and_the_engines_words(status: int, family: type[kit_errors.PierError]) -> None:
    with pytest.raises(family, match="no such thing"):
        errors.check(status, b'{"message":"no such thing"}', "GET /x")


def test_what_is_no_json_is_told_as_it_is() -> None:
    with pytest.raises(kit_errors.Unavailable, match="page not found"):
        errors.check(500, b"page not found\n", "GET /x")
