"""Rows under their column names, as lines of text; what does not fit is continued below, in its column.

Pure. Widths are those of a terminal: a Chinese character takes two cells.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest

_GAP = 2
_CONTROL = dict.fromkeys((*range(32), *range(127, 160))) | {9: " "}
"""What would move the cursor is left out."""


def lines(rows: Sequence[Sequence[str]], width: int | None) -> list[list[str]]:
    """For each row the lines that it takes. `width` None: nothing is wrapped."""
    drawn = [[[line.translate(_CONTROL) for line in cell.split("\n")] for cell in row] for row in rows]
    widths = [max((cells(line) for cell in column for line in cell), default=0) for column in zip(*drawn, strict=True)]
    if width is not None:
        widths = _fitted(widths, width - _GAP * (len(widths) - 1))
    return [list(_drawn(row, widths)) for row in drawn]


def cells(text: str) -> int:
    """How wide a terminal shows it."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """The widths, the widest cut alike until all fit, none below two."""
    fitted = list(widths)
    while sum(fitted) > room and max(fitted) > _GAP:
        widest = max(fitted)
        alike = [place for place, one in enumerate(fitted) if one == widest]
        second = max((one for one in fitted if one < widest), default=_GAP)
        cut = min(widest - max(second, _GAP), -(-(sum(fitted) - room) // len(alike)))
        for place in alike:
            fitted[place] -= max(cut, 1)
    return fitted


def _drawn(row: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    columns = [
        [part for line in cell for part in _wrapped(line, width)] for cell, width in zip(row, widths, strict=True)
    ]
    for parts in zip_longest(*columns, fillvalue=""):
        padded = [part + " " * (width - cells(part)) for part, width in zip(parts, widths, strict=True)]
        yield (" " * _GAP).join(padded).rstrip(" ")


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Broken at spaces where there are any, else anywhere."""
    while cells(text) > width:
        end = _fits(text, width)
        space = text.rfind(" ", 0, end + 1)
        yield text[: space if space > 0 else end]
        text = text[space + 1 if space > 0 else end :]
    yield text


def _fits(text: str, width: int) -> int:
    """How many of its characters do; at least one, so that there is an end."""
    taken = 0
    for place, character in enumerate(text):
        taken += _cells(character)
        if taken > width:
            return max(place, 1)
    return len(text)
