from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pierhead.wire.haproxy import cli


@given(st.lists(st.text("abc ", min_size=1, max_size=3000), max_size=40))
def test_commands_keep_their_order_in_lines_that_fit(commands: list[str]) -> None:
    lines = cli.lines(commands)
    assert ";".join(lines) == ";".join(commands)
    assert all(len(line) <= cli.LINE_BYTES for line in lines)
