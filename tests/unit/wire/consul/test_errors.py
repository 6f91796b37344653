from __future__ import annotations

import pytest

from pierhead.kit import errors as kit
from pierhead.wire.consul import errors


@pytest.mark.parametrize(
    ("status", "text", "family"),
    [
        (400, "Missing service name", kit.Invalid),
        (403, "Permission denied", kit.Denied),
        (404, "", kit.NotFound),
        (409, "index is stale", kit.Conflict),
        (413, "too large", kit.Invalid),
        (429, "slow down", kit.Invalid),
        (500, 'CheckID "x" does not have associated TTL', kit.NotFound),
        (500, 'strconv.ParseUint: parsing "abc": invalid syntax', kit.Invalid),
        (500, "No cluster leader", kit.Unavailable),
        (503, "", kit.Unavailable),
    ],
)
def test_each_refusal_is_of_its_family(status: int, text: str, family: type[kit.PierError]) -> None:
    with pytest.raises(family, match=f"PUT /v1/x with {status}"):
        errors.check(status, text, "PUT /v1/x")


def test_success_is_nothing() -> None:
    errors.check(204, "", "PUT /v1/x")
