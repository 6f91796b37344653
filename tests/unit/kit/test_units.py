from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.kit import units


@given(st.integers(0, 10**11))
def test_a_duration_is_read_back(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    assert units.duration(units.duration_text(value)) == value


@given(st.integers(0, 1 << 50))
def test_a_size_is_read_back(count: int) -> None:
    assert units.size(units.size_text(count)) == count


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1 s", "1S", "5000d", "1e3s", "30s "])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        units.duration(text)


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1mib", "1 XB", "1e9", "999999999TiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|larger"):
        units.size(text)
