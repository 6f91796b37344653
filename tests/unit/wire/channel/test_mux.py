"""Two ends of a channel, whatever they do and however their messages interleave."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.kit import errors
from pierhead.wire.channel import frames, mux
from pierhead.wire.channel.frames import LARGEST, Frame, Kind
from pierhead.wire.channel.mux import COST, Closed, Event, Mux, Opened, Received, Room

WINDOW = 4096
"""Small, so that it is often full."""


@dataclass
class End:
    """One end: what it was told, and what it has not read yet."""

    mux: Mux
    sent: dict[int, list[bytes]] = field(default_factory=dict)
    unread: dict[int, deque[bytes]] = field(default_factory=dict)
    read: dict[int, list[bytes]] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    """By the other end."""
    wire: deque[bytes] = field(default_factory=deque)
    """On the way to the other end."""

    def send(self, stream: int, data: bytes) -> None:
        if self.mux.has_room(stream, len(data)):
            self.mux.send(stream, data)
            self.sent.setdefault(stream, []).append(data)

    def flush(self, count: int) -> None:
        for _ in range(count):
            message = self.mux.next()
            if message is None:
                return
            self.wire.append(message)

    def hear(self, event: Event | None) -> None:
        match event:
            case Opened(stream, _):
                self.unread[stream] = deque()
            case Received(stream, data):
                self.unread.setdefault(stream, deque()).append(data)
            case Closed(stream, _):
                self.closed.add(stream)
                self.mux.close(stream, {})

    def take(self, stream: int) -> None:
        if self.unread.get(stream):
            data = self.unread[stream].popleft()
            self.read.setdefault(stream, []).append(data)
            self.mux.taken(stream, len(data))

    @property
    def most_unread(self) -> int:
        return max((sum(len(data) + COST for data in waiting) for waiting in self.unread.values()), default=0)


def deliver(sender: End, receiver: End, count: int) -> None:
    for _ in range(min(count, len(sender.wire))):
        receiver.hear(receiver.mux.receive(sender.wire.popleft()))


SIDES = st.sampled_from([0, 1])
STREAMS = st.integers(1, 5)
ACTIONS = st.one_of(
    st.tuples(st.just("open"), SIDES, st.just(0), st.just(0)),
    st.tuples(st.just("send"), SIDES, STREAMS, st.integers(1, 1500)),
    st.tuples(st.just("flush"), SIDES, st.just(0), st.integers(1, 20)),
    st.tuples(st.just("deliver"), SIDES, st.just(0), st.integers(1, 20)),
    st.tuples(st.just("take"), SIDES, STREAMS, st.just(0)),
    st.tuples(st.just("close"), SIDES, STREAMS, st.just(0)),
)


def act(ends: tuple[End, End], action: tuple[str, int, int, int], number: int) -> None:
    what, side, stream, size = action
    me, other = ends[side], ends[1 - side]
    match what:
        case "open":
            ends[0].unread[ends[0].mux.open({"number": number})] = deque()
        case "send":
            me.send(stream, bytes([number % 251]) * size)
        case "flush":
            me.flush(size)
        case "deliver":
            deliver(me, other, size)
        case "take":
            me.take(stream)
        case "close":
            me.mux.close(stream, {"by": side})


def settle(ends: tuple[End, End]) -> None:
    """Everything that is on its way arrives, and is read."""
    moved = True
    while moved:
        moved = False
        for me, other in (ends, ends[::-1]):
            me.flush(10_000)
            moved |= bool(me.wire)
            deliver(me, other, 10_000)
            for stream in list(other.unread):
                while other.unread[stream]:
                    other.take(stream)


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, max_size=120))
def test_each_stream_keeps_its_order_and_its_bound_whatever_happens(
    actions: list[tuple[str, int, int, int]],
) -> None:
    ends = (End(Mux(opens=True, window=WINDOW)), End(Mux(opens=False, window=WINDOW)))
    for number, action in enumerate(actions):
        act(ends, action, number)
        for end in ends:
            assert end.most_unread <= WINDOW
            assert end.mux.queued <= WINDOW * max(1, end.mux.streams)
    settle(ends)
    for sender, receiver in (ends, ends[::-1]):
        for stream, sent in sender.sent.items():
            read = receiver.read.get(stream, [])
            assert read == sent[: len(read)]
            if stream not in sender.closed | receiver.closed:
                assert read == sent
    assert ends[0].mux.streams == ends[1].mux.streams


def test_a_reader_that_reads_nothing_holds_up_nobody_else() -> None:
    server, node = End(Mux(opens=True)), End(Mux(opens=False))
    streams = [server.mux.open({}) for _ in range(200)]
    server.flush(1000)
    deliver(server, node, 1000)
    slow, others = streams[0], streams[1:]
    total = dict.fromkeys(streams, 0)
    for _ in range(30):
        for stream in streams:
            if node.mux.has_room(stream, LARGEST):
                node.send(stream, b"x" * LARGEST)
        node.flush(10_000)
        deliver(node, server, 10_000)
        for stream in others:
            while server.unread[stream]:
                total[stream] += len(server.unread[stream][0])
                server.take(stream)
        server.flush(10_000)
        deliver(server, node, 10_000)
    assert {total[stream] for stream in others} == {30 * LARGEST}
    assert sum(map(len, server.unread[slow])) <= mux.WINDOW
    assert node.mux.queued == 0


def test_streams_take_turns() -> None:
    node = Mux(opens=False)
    for stream in (1, 2):
        node.receive(frames.encode(Frame(Kind.OPEN, stream)))
        for _ in range(3):
            node.send(stream, b"data")
    found = [frames.decode(message).stream for message in iter(node.next, None)]
    assert found == [1, 2, 1, 2, 1, 2]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "no frame"),
        (b"\xff\0\0\0\1", "no frame of kind 255"),
        (frames.encode(Frame(Kind.DATA, 7, b"x")), "stream 7, which is not open"),
        (frames.encode(Frame(Kind.OPEN, 1, b"no json")), "no JSON"),
        (frames.encode(Frame(Kind.OPEN, 0)), "cannot be opened"),
        (frames.encode(Frame(Kind.HELLO)), "HELLO came in the middle"),
        (frames.encode(Frame(Kind.DATA, 1, b"x" * (LARGEST + 1))), "are allowed"),
    ],
)
def test_an_end_that_breaks_the_protocol_is_found_out(message: bytes, reason: str) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        Mux(opens=False).receive(message)


def test_more_than_the_credit_is_found_out() -> None:
    node = Mux(opens=False, window=WINDOW)
    node.receive(frames.encode(Frame(Kind.OPEN, 1)))
    message = frames.encode(Frame(Kind.DATA, 1, b"x"))
    for _ in range(WINDOW // (COST + 1)):
        node.receive(message)
    with pytest.raises(errors.Invalid, match="credit"):
        node.receive(message)
    with pytest.raises(errors.Invalid, match="credit"):
        node.receive(frames.encode(frames.credit_frame(1, 1)))


def test_a_ping_is_answered_once_however_often_it_comes() -> None:
    node = Mux(opens=False)
    for _ in range(100):
        node.receive(frames.encode(Frame(Kind.PING)))
    assert [frames.decode(message).kind for message in iter(node.next, None)] == [Kind.PONG]


def test_too_many_streams_are_refused_and_the_others_live() -> None:
    server, node = End(Mux(opens=True)), Mux(opens=False)
    for _ in range(mux.MOST_STREAMS):
        server.mux.open({})
    with pytest.raises(errors.Unavailable, match="streams are open"):
        server.mux.open({})
    for stream in range(1, mux.MOST_STREAMS + 1):
        assert isinstance(node.receive(frames.encode(Frame(Kind.OPEN, stream))), Opened)
    assert node.receive(frames.encode(Frame(Kind.OPEN, mux.MOST_STREAMS + 1))) is None
    refused = frames.decode(node.next() or b"")
    assert (refused.kind, refused.stream) == (Kind.CLOSE, mux.MOST_STREAMS + 1)
    assert isinstance(node.receive(frames.encode(Frame(Kind.DATA, 1, b"x"))), Received)


def test_room_is_told_when_it_comes_back() -> None:
    server, node = End(Mux(opens=True, window=WINDOW)), End(Mux(opens=False, window=WINDOW))
    stream = server.mux.open({})
    server.flush(1)
    deliver(server, node, 1)
    while node.mux.has_room(stream, 1000):
        node.send(stream, b"x" * 1000)
    node.flush(100)
    deliver(node, server, 100)
    while server.unread[stream]:
        server.take(stream)
    message = server.mux.next()
    assert message
    assert node.mux.receive(message) == Room(stream)
    assert node.mux.has_room(stream, 1000)
