"""One end of a channel as a state machine: messages in, events and messages out. Pure.

Each direction of each stream has a window: what its reader has not taken is never more. A sender that has no credit
waits, and only its own stream does; what is queued is sent in turns, one frame of each stream. So neither a slow reader
nor a loud writer holds up another stream, and both ends together keep at most a window per stream and direction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.kit import errors
from pierhead.wire.channel import frames, greeting
from pierhead.wire.channel.frames import LARGEST, Frame, Kind

WINDOW = 64 << 10
"""Credit of each direction of a new stream."""
COST = 32
"""What a frame costs besides its bytes, so that many small ones are bounded too."""
MOST_STREAMS = 1000


@dataclass(frozen=True, slots=True)
class Opened:
    stream: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Received:
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Room:
    """More may be sent on this stream than before."""

    stream: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The other end sends nothing more on this stream, and reads nothing more of it."""

    stream: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dismissed:
    """The server wants this node no more."""

    error: errors.PierError


Event = Opened | Received | Room | Closed | Dismissed


@dataclass(slots=True)
class _State:
    credit: int
    """What may still be queued."""
    queue: deque[Frame] = field(default_factory=deque)
    has_turn: bool = False
    held: int = 0
    """What the other end has spent of its credit and was not given back."""
    owed: int = 0
    """The part of it that was taken here."""
    is_closing: bool = False
    """The last frame is queued or sent."""
    is_closed: bool = False
    """The last frame is sent."""
    is_ended: bool = False
    """The other end's last frame has come."""


class Mux:
    """`opens`: this end opens streams, the other one does not."""

    def __init__(self, *, opens: bool, window: int = WINDOW) -> None:
        self._opens, self._window = opens, window
        self._streams: dict[int, _State] = {}
        self._last = 0
        self._urgent: deque[Frame] = deque()
        self._turns: deque[int] = deque()
        """Streams that have something queued, in the order in which it is their turn."""

    # What this end does

    def open(self, body: Mapping[str, Any]) -> int:
        """A new stream. Raises: Unavailable (too many)."""
        if len(self._streams) >= MOST_STREAMS:
            raise errors.Unavailable(f"{MOST_STREAMS} streams are open on this channel.", hint="Try again later.")
        self._last += 1
        self._streams[self._last] = _State(self._window)
        self._urgent.append(frames.json_frame(Kind.OPEN, self._last, body))
        return self._last

    def has_room(self, stream: int, size: int) -> bool:
        """So many bytes can be sent on it now; never again once it is closed."""
        state = self._streams.get(stream)
        return state is not None and not state.is_closing and not state.is_ended and state.credit >= size + COST

    def send(self, stream: int, data: bytes) -> None:
        """`data` is queued, as one message. It must fit into a frame, and have room."""
        if not 0 < len(data) <= LARGEST:
            raise ValueError(f"a message has 1 to {LARGEST} bytes, not {len(data)}")
        if not self.has_room(stream, len(data)):
            raise ValueError(f"there is no room on stream {stream}")
        self._streams[stream].credit -= len(data) + COST
        self._enqueue(stream, Frame(Kind.DATA, stream, data))

    def taken(self, stream: int, size: int) -> None:
        """A message of that size was read; the other end is told when it is worth a frame."""
        state = self._streams.get(stream)
        if state is None or state.is_closing or state.is_ended:
            return
        state.owed += size + COST
        if state.owed >= self._window // 2:
            self._urgent.append(frames.credit_frame(stream, state.owed))
            state.held -= state.owed
            state.owed = 0

    def close(self, stream: int, body: Mapping[str, Any]) -> None:
        """Nothing more is sent on it after what is queued, and nothing is read. Idempotent."""
        state = self._streams.get(stream)
        if state is None or state.is_closing:
            return
        state.is_closing = True
        self._enqueue(stream, frames.json_frame(Kind.CLOSE, stream, body))

    def ping(self) -> None:
        """The other end is to show that it lives."""
        self._once(Frame(Kind.PING))

    def next(self) -> bytes | None:
        """The message to send next; None when there is none."""
        if self._urgent:
            return frames.encode(self._urgent.popleft())
        while self._turns:
            stream = self._turns.popleft()
            state = self._streams[stream]
            state.has_turn = False
            if not state.queue:
                continue
            frame = state.queue.popleft()
            self._give_turn(stream, state)
            if frame.kind is Kind.CLOSE:
                state.is_closed = True
                self._forget(stream, state)
            return frames.encode(frame)
        return None

    # What the other end did

    def receive(self, message: bytes) -> Event | None:
        """What it means. Raises: Invalid (the other end broke the protocol: hang up)."""
        frame = frames.decode(message)
        match frame.kind:
            case Kind.PING:
                self._once(Frame(Kind.PONG))
                return None
            case Kind.PONG:
                return None
            case Kind.OPEN:
                return self._opened(frame)
            case Kind.REFUSED if not self._opens:
                return Dismissed(greeting.refusal(frame))
            case Kind.DATA | Kind.CREDIT | Kind.CLOSE:
                return self._of_stream(frame)
        raise errors.Invalid(f"A frame {frame.kind.name} came in the middle of a channel.")

    @property
    def streams(self) -> int:
        return len(self._streams)

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
        return sum(len(frame.data) for state in self._streams.values() for frame in state.queue)

    def _opened(self, frame: Frame) -> Event | None:
        if self._opens or frame.stream <= self._last:
            raise errors.Invalid(f"Stream {frame.stream} cannot be opened.")
        self._last = frame.stream
        self._streams[frame.stream] = _State(self._window)
        if len(self._streams) > MOST_STREAMS:
            error = errors.Unavailable(f"{MOST_STREAMS} streams are open on this channel.", hint="Try again later.")
            self.close(frame.stream, {"error": errors.document(error)})
            return None
        return Opened(frame.stream, frame.body())

    def _of_stream(self, frame: Frame) -> Event | None:
        state = self._streams.get(frame.stream)
        if state is None or state.is_ended:
            raise errors.Invalid(f"A frame {frame.kind.name} came for stream {frame.stream}, which is not open.")
        if frame.kind is Kind.DATA:
            return self._received(frame, state)
        if frame.kind is Kind.CREDIT:
            state.credit += frame.credit()
            if state.credit > self._window:
                raise errors.Invalid(f"More credit was given back on stream {frame.stream} than was spent.")
            return Room(frame.stream)
        return self._closed(frame, state)

    def _received(self, frame: Frame, state: _State) -> Event | None:
        state.held += len(frame.data) + COST
        if state.held > self._window or not frame.data:
            raise errors.Invalid(f"More was sent on stream {frame.stream} than it had credit for.")
        return None if state.is_closing else Received(frame.stream, frame.data)

    def _closed(self, frame: Frame, state: _State) -> Event:
        state.is_ended = True
        state.queue = deque(queued for queued in state.queue if queued.kind is Kind.CLOSE)
        self._forget(frame.stream, state)
        return Closed(frame.stream, frame.body())

    def _once(self, frame: Frame) -> None:
        if frame not in self._urgent:
            self._urgent.append(frame)

    def _enqueue(self, stream: int, frame: Frame) -> None:
        state = self._streams[stream]
        state.queue.append(frame)
        self._give_turn(stream, state)

    def _give_turn(self, stream: int, state: _State) -> None:
        if state.queue and not state.has_turn:
            state.has_turn = True
            self._turns.append(stream)

    def _forget(self, stream: int, state: _State) -> None:
        if state.is_closed and state.is_ended:
            del self._streams[stream]
