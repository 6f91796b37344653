"""Which processes belong to a command."""

from __future__ import annotations

from pierhead.agent import processes
from pierhead.agent.processes import Process


def test_sessions_children_and_marked_strangers_belong_and_nobody_else() -> None:
    found = processes.belonging(
        {
            1: Process(parent=0, session=1, is_marked=False),
            10: Process(parent=1, session=10, is_marked=False),  # the leader, which cleared its environment
            11: Process(parent=10, session=10, is_marked=False),
            12: Process(parent=11, session=12, is_marked=False),  # in a session of its own
            13: Process(parent=12, session=13, is_marked=False),
            20: Process(parent=1, session=20, is_marked=True),  # left by its parent
            21: Process(parent=1, session=20, is_marked=False),
            30: Process(parent=1, session=30, is_marked=False),
            40: Process(parent=0, session=0, is_marked=False),
        },
        leader=10,
    )
    assert found == {10, 11, 12, 13, 20, 21}


def test_nothing_is_left_of_a_command_that_has_ended() -> None:
    assert processes.belonging({1: Process(0, 1, is_marked=False)}, leader=0) == set()
