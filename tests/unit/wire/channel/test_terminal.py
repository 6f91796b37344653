"""What a terminal keeps, so that it can go on after its connection broke."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.kit import errors
from pierhead.wire.channel import terminal
from pierhead.wire.channel.terminal import Heard, Kept, Said

PIECES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=40)


@settings(deadline=None)
@given(PIECES, st.floats(0, 1), st.floats(0, 1))
def test_what_was_not_taken_is_sent_again_from_any_place(
    pieces: list[tuple[int, bytes]], taken: float, place: float
) -> None:
    kept, all_, kinds = Kept(), b"", b""
    for kind, data in pieces:
        kept.add(kind, data)
        all_ += data
        kinds += bytes([kind]) * len(data)
    first = int(taken * len(all_))
    kept.taken(first)
    begin = first + int(place * (len(all_) - first))
    found = kept.after(begin)
    assert b"".join(data for _, data in found) == all_[begin:]
    assert b"".join(bytes([kind]) * len(data) for kind, data in found) == kinds[begin:]
    assert kept.end == len(all_)
    assert kept.size <= len(all_) - first + terminal.LARGEST


def test_what_is_not_kept_cannot_be_gone_on_with() -> None:
    kept = Kept()
    kept.add(1, b"x" * terminal.LARGEST)
    kept.add(1, b"y" * 10)
    kept.taken(terminal.LARGEST)
    for place in (0, kept.end + 1):
        with pytest.raises(errors.Conflict, match="is not kept"):
            kept.after(place)


def test_messages_are_split_and_read() -> None:
    pieces = list(terminal.split(Heard.STDOUT, b"x" * (terminal.LARGEST + 1)))
    assert [len(piece) for piece in pieces] == [terminal.LARGEST + 1, 2]
    assert terminal.read(terminal.message(Said.SIZE, rows=24, columns=80)[1:], "rows", "columns") == [24, 80]
    with pytest.raises(errors.Invalid, match="rows"):
        terminal.read(b"{}", "rows")
