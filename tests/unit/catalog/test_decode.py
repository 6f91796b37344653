from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.catalog import decode
from pierhead.catalog.decode import DURATION, Fields, ListOf, MapOf
from pierhead.catalog.reply import Rejected

FIELDS = Fields(
    {"Name": str, "Port": int, "Tags": ListOf(str), "Meta": MapOf(str), "LongName": DURATION, "In": Fields({"A": bool})}
)


def read(value: Any) -> dict[str, Any]:
    return decode.document(json.dumps(value).encode(), FIELDS)


def test_names_are_read_in_any_case_and_null_is_nothing() -> None:
    value = {"NAME": "x", "port": 1, "long_name": "15.000000s", "tags": None, "in": {"a": True}}
    assert read(value) == {"Name": "x", "Port": 1, "LongName": timedelta(seconds=15), "In": {"A": True}}


def test_a_number_is_a_duration_in_nanoseconds() -> None:
    assert read({"LongName": 1_000_000_000}) == {"LongName": timedelta(seconds=1)}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"Bogus": 1}, 'json: unknown field "Bogus"'),
        ({"Port": "80"}, "json: cannot unmarshal string into Go struct field .Port of type int"),
        ({"Port": True}, "json: cannot unmarshal bool into Go struct field .Port of type int"),
        ({"Tags": "a"}, "json: cannot unmarshal string into Go struct field .Tags of type []string"),
        ({"Meta": {"a": 1}}, "json: cannot unmarshal number into Go struct field .Meta of type string"),
        ({"In": []}, "json: cannot unmarshal array into Go value of type struct"),
        ({"LongName": "soon"}, 'time: invalid duration "soon"'),
    ],
)
def test_what_does_not_fit_is_refused_with_the_place(value: Any, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(value)
    assert refused.value.status == 400
    assert str(refused.value) == f"Request decode failed: {reason}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "EOF"),
        (b'{"Name":', "unexpected EOF"),
        (b'{"Name', "unexpected EOF"),
        (b"nonsense", "invalid character 'o' in literal null .expecting 'u'."),
        (b"[1 2]", "invalid character '2' after value"),
        (b"{a: 1}", "invalid character 'a' looking for beginning of object key string"),
        (b"\xff", "invalid character '.' looking for beginning of value"),
    ],
)
def test_broken_json_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=f"Request decode failed: {reason}"):
        decode.document(body, FIELDS)


def test_what_follows_the_first_value_is_left() -> None:
    assert decode.document(b'{"Name": "x"} and more', FIELDS) == {"Name": "x"}


@given(st.binary(max_size=50))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert isinstance(decode.document(body, FIELDS), dict)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(Rejected):
        decode.document(b"[" * 200_000, FIELDS)
