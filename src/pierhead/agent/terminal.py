"""One command in a container, and whoever watches it: it goes on for a while when the watcher is cut off."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pierhead.kit import errors, tasks
from pierhead.wire.channel import terminal
from pierhead.wire.channel.link import Stream
from pierhead.wire.channel.terminal import INPUT_WINDOW, OUTPUT_WINDOW, Heard, Kept, Said
from pierhead.wire.docker.exec import Session


@dataclass(frozen=True, slots=True)
class Asked:
    """What a new command is to be."""

    container: str
    words: tuple[str, ...]
    tty: bool
    rows: int
    columns: int


class Command:
    """Started; `run` carries what it writes and reads until it has ended, `show` connects a watcher."""

    def __init__(self, name: str, container: str, mark: str, session: Session) -> None:
        self.name, self.container, self.mark, self.session = name, container, mark, session
        self.watcher: Stream | None = None
        self.is_left = False
        """Nobody will come back: what it writes is not kept."""
        self._output = Kept()
        self._exit_code: int | None = None
        self._failure: errors.PierError | None = None
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self._input_end = self._input_taken = 0
        self._news, self._room = tasks.Signal(), tasks.Signal()

    @property
    def has_ended(self) -> bool:
        return self._exit_code is not None or self._failure is not None

    async def run(self) -> None:
        """Its output was read to the end, and how it ended is known."""
        try:
            await tasks.unless(self._write(), self._read())
            self._exit_code = await self.session.exit_code() or 0
        except errors.PierError as error:
            self._failure = error
        finally:
            self.session.close()
            self._news.set()

    async def show(self, stream: Stream, place: int, limit_seconds: float) -> None:
        """The watcher sees what was written from byte `place` on, until it closes the stream or is cut off.

        Raises: Lost, Conflict (it asks for what is not kept), what the engine failed with.
        """
        self._output.after(place)
        self._news = tasks.Signal()  # whoever watched before must not take this one's
        await stream.send(
            terminal.message(Heard.SESSION, session=self.name, input=self._input_end, limit_seconds=limit_seconds)
        )
        await tasks.unless(self._obey(stream), self._tell(stream, place, self._news))

    async def _tell(self, stream: Stream, place: int, news: tasks.Signal) -> None:
        taken = 0
        while True:
            for kind, data in self._output.after(place):
                await stream.send(bytes([kind]) + data)
                place += len(data)
            if taken != self._input_taken:
                taken = self._input_taken
                await stream.send(terminal.message(Heard.TAKEN, input=taken))
            if self.has_ended and place == self._output.end:
                break
            await news.wait()
        if self._failure:
            raise self._failure
        await stream.send(terminal.message(Heard.ENDED, exit_code=self._exit_code))
        await asyncio.Event().wait()  # until the watcher has seen it

    async def _obey(self, stream: Stream) -> None:
        while message := await stream.receive():
            kind, data = message[0], message[1:]
            match kind:
                case Said.INPUT if data:
                    self._accept(data)
                case Said.END_OF_INPUT:
                    self._input.put_nowait(b"")
                case Said.TAKEN:
                    self._output.taken(terminal.read(data, "output")[0])
                    self._room.set()
                case Said.SIZE:
                    await self._resize(*terminal.read(data, "rows", "columns"))
                case _:
                    raise errors.Invalid(f"A terminal has no message of kind {kind}.")

    def _accept(self, data: bytes) -> None:
        self._input_end += len(data)
        if self._input_end - self._input_taken > INPUT_WINDOW:
            raise errors.Invalid(
                f"More than {INPUT_WINDOW} bytes of input were sent and not taken.",
                hint="Whoever sends input must wait for the messages that say how much was taken.",
            )
        self._input.put_nowait(data)

    async def _resize(self, rows: int, columns: int) -> None:
        if not self.has_ended:
            try:
                await self.session.resize(rows, columns)
            except errors.Refused:  # it ended just now
                return

    async def _read(self) -> None:
        while frame := await self.session.read():
            kind = Heard.STDERR if frame.is_error else Heard.STDOUT
            for piece in terminal.split(kind, frame.data):
                while self._output.size >= OUTPUT_WINDOW and not self.is_left:
                    await self._room.wait()
                self._output.add(kind, piece[1:])
                if self.is_left:
                    self._output.taken(self._output.end)
                self._news.set()

    def leave(self) -> None:
        """It is to end: it never waits for anybody to read again."""
        self.is_left = True
        self._room.set()

    async def _write(self) -> None:
        """Ends, and the command with it, only by being cancelled: a command that reads nothing may write on."""
        while data := await self._input.get():
            try:
                await self.session.write(data)
            except OSError:  # it reads no more
                break
            self._input_taken += len(data)
            self._news.set()
        self.session.end_input()
        await asyncio.Event().wait()
