"""An instance without a node says what each node lacks."""

from __future__ import annotations

import pytest

from pierhead.model.placement import Room, Wanted, explained

SAID = "no suitable node (insufficient resources on 1 node)"
GIB = 1 << 30
A = Room("a", cpus=2, memory_bytes=GIB // 2)
B = Room("b", cpus=8, memory_bytes=64 * GIB, closed="drained")
C = Room("c", cpus=0.25, memory_bytes=4 * GIB, labels={"zone": "b"})


@pytest.mark.parametrize(
    ("wanted", "rooms", "said"),
    [
        (
            Wanted(memory_bytes=2 * GIB, labels={"zone": "a"}),
            [C, Room("a", 2, GIB // 2, {"zone": "a"}), B],
            "no node has 2 GiB free: a 512 MiB, b drained, c lacks the label zone=a",
        ),
        (
            Wanted(cpus=1, memory_bytes=2 * GIB),
            [A, C],
            "no node has 2 GiB and 1 processor free: a 512 MiB, c 0.25 processors",
        ),
        (Wanted(memory_bytes=900 * GIB), [Room("a", 2, 24 * GIB + 7)], "no node has 900 GiB free: a 24 GiB"),
        (Wanted(memory_bytes=GIB), [Room("a", 2, -GIB)], "no node has 1 GiB free: a 0 MiB"),
        (Wanted(cpus=0.5), [Room("a", -1, GIB)], "no node has 0.5 processors free: a 0 processors"),
        (Wanted(), [B, Room("d", 1, GIB, closed="down")], "no node can take it: b drained, d down"),
        (
            Wanted(node="x1"),
            [Room("a", 2, GIB), Room("b", 2, GIB, closed="drained", id="x1")],
            "no node can take it: a does not have its volumes, b drained",
        ),
        (Wanted(labels={"disk": "ssd"}), [A], "no node can take it: a lacks the label disk=ssd"),
    ],
)
def test_what_each_node_lacks_is_told(wanted: Wanted, rooms: list[Room], said: str) -> None:
    assert explained(SAID, wanted, rooms) == said


def test_what_is_not_known_is_what_the_swarm_says() -> None:
    assert explained(SAID, Wanted(), [A, B]) == SAID
    assert explained(SAID, Wanted(memory_bytes=GIB), []) == SAID
    assert explained("exec format error", Wanted(memory_bytes=GIB), [A]) == "exec format error"
    ports = "no suitable node (host-mode port already in use on 1 node)"
    assert explained(ports, Wanted(ports=[20007]), [A, B]) == (
        "no node has the host port 20007 free: a in use there, b drained"
    )
