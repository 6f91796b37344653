from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.catalog import request
from pierhead.catalog.reply import Rejected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15.000000s", 15), ("1h30m", 5400), ("60000ms", 60), ("0", 0), ("1.5h", 5400), ("500us", 0.0005), (".5s", 0.5)],
)
def test_go_durations_are_read(text: str, seconds: float) -> None:
    assert request.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "1 hour", "s", "1d", "--1s", "9999999999999h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        request.duration(text)


@given(st.integers(0, 10**8))
def test_durations_come_back(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    difference = request.duration(request.duration_text(value)) - value
    assert abs(difference) < timedelta(milliseconds=1)


def test_paths_are_decoded_and_repeated_parameters_kept() -> None:
    found = request.parse("GET", "/v1/kv/a%2Fb%20c?tag=x&tag=y&recurse", {}, b"")
    assert found.path == "/v1/kv/a/b c"
    assert found.query["tag"] == ("x", "y")
    assert found.flag("recurse")
    assert not found.flag("passing")


def test_a_path_that_is_no_text_is_refused() -> None:
    with pytest.raises(Rejected):
        request.parse("GET", "/v1/kv/%ff", {}, b"")


def test_the_token_is_found_wherever_clients_put_it() -> None:
    for headers, target in (
        ({"x-consul-token": "t"}, "/"),
        ({"authorization": "Bearer t"}, "/"),
        ({}, "/?token=t"),
    ):
        assert request.parse("GET", target, headers, b"").token == "t"


def test_waits_are_bounded() -> None:
    assert request.parse("GET", "/?wait=2h", {}, b"").wait == request.LONGEST_WAIT
    assert request.parse("GET", "/?wait=0s", {}, b"").wait == request.DEFAULT_WAIT
