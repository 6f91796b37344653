"""Lines come out as they went in, however the engine cut them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pierhead.wire.docker import logs
from pierhead.wire.docker.frames import Frame
from pierhead.wire.docker.logs import Line

PIECE = 16 << 10


async def read(*pieces: tuple[str, bool, bytes]) -> list[Line]:
    async def frames() -> AsyncIterator[Frame]:
        for at, is_error, data in pieces:
            yield Frame(is_error, at.encode() + b" " + data)

    return [line async for line in logs.whole(frames())]


async def test_a_long_line_is_one_although_another_came_between() -> None:
    text = ("ü" * PIECE).encode()  # two bytes each: every cut is in the middle of one
    found = await read(
        ("1", False, b"x" + text[: PIECE - 1]),
        ("2", True, b"other\n"),
        ("3", False, text[PIECE - 1 : 2 * PIECE - 1]),
        ("4", False, text[2 * PIECE - 1 :] + b"\n"),
        ("5", False, b"next\n"),
    )
    assert found == [
        Line("2", True, "other"),
        Line("1", False, "x" + text.decode()),
        Line("5", False, "next"),
    ]


async def test_what_has_no_end_is_told_when_the_container_ends() -> None:
    assert await read(("1", False, b"prompt")) == [Line("1", False, "prompt")]
    assert await read(("1", False, b"x" * PIECE)) == [Line("1", False, "x" * PIECE)]


async def test_a_line_without_end_is_not_kept_for_ever() -> None:
    pieces = [(str(number), False, b"x" * PIECE) for number in range(64)]
    assert [len(line.text) for line in await read(*pieces)] == [1 << 20]
