"""Rows as a terminal shows them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.cli import table

ROWS = [["NAME", "WHY"], ["web", "no node has 2 GiB free"], ["你好", "a\tb\x1b[31m"]]


def drawn(rows: list[list[str]], width: int | None) -> list[str]:
    return [line for row in table.lines(rows, width) for line in row]


def test_what_fits_is_one_line_a_row_and_columns_stand_under_each_other() -> None:
    assert drawn(ROWS, None) == ["NAME  WHY", "web   no node has 2 GiB free", "你好  a b[31m"]
    assert drawn(ROWS, 28) == drawn(ROWS, None)


def test_what_does_not_fit_goes_on_below_in_its_column() -> None:
    assert drawn(ROWS, 18) == ["NAME  WHY", "web   no node has", "      2 GiB free", "你好  a b[31m"]


def test_a_word_that_is_too_long_is_broken_and_a_cell_may_have_lines() -> None:
    assert drawn([["0123456789"], ["a\nb"]], 4) == ["0123", "4567", "89", "a", "b"]


@settings(max_examples=50)
@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), min_size=1), st.integers(min_value=1, max_value=60))
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(rows: list[list[str]], width: int) -> None:
    lines = drawn(rows, width)
    least = 3 * 2 + 2 * 2
    assert all(table.cells(line) <= max(width, least) for line in lines)
    shown = sorted("".join(lines).replace(" ", ""))
    wide = sorted("".join(drawn(rows, None)).replace(" ", ""))
    assert shown == wide
