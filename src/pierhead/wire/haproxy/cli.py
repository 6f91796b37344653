"""One exchange over a command line socket, of a worker (`stats socket`) or of the master (`-S`).

Every exchange is a connection of its own: HAProxy ends the answer by closing, once our side is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from pathlib import Path

from pierhead.kit import errors

LINE_BYTES = 12_000
"""Most bytes of commands in one line; HAProxy reads a line into buffers of 16 KiB."""
PATH_BYTES = 96
"""Longest path of a socket: the kernel takes 107, and HAProxy needs room behind it for the name it binds first."""

_PART_BYTES = 1 << 16

PLAIN = re.compile(r"[A-Za-z0-9_.*/%+@:=,~-]+")
"""What needs no escaping as a word of a command."""


async def ask(socket: Path, line: str, *, timeout: timedelta = timedelta(seconds=10)) -> str:
    """What HAProxy answers to `line` (commands joined by `;`), whole. Raises: Unavailable (silent for `timeout`).

    Source: HAProxy management guide, 9.3 Unix Socket commands.
    """
    try:
        return await _exchange(socket, line, timeout.total_seconds())
    except (TimeoutError, OSError) as error:
        raise _unavailable(socket, error) from error


@contextlib.asynccontextmanager
async def held(socket: Path) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """One line can be asked of the process that listens at `socket` now, which does not end before.

    A process that was replaced finishes its connections first, and this is one. HAProxy closes it after ten seconds.
    Raises: Unavailable.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError as error:
        raise _unavailable(socket, error) from error

    async def asked(line: str) -> str:
        try:
            return await _said(reader, writer, line, 10)
        except (TimeoutError, OSError) as error:
            raise _unavailable(socket, error) from error

    try:
        yield asked
    finally:
        writer.close()


def lines(commands: Iterable[str]) -> list[str]:
    """`commands` in order, joined into as few lines as may be sent."""
    found: list[str] = []
    for command in commands:
        if found and len(found[-1]) + len(command) < LINE_BYTES:
            found[-1] += f";{command}"
        else:
            found.append(command)
    return found


def payloads(lines: Iterable[str]) -> list[str]:
    """`lines` in order, joined into as few payloads as may be sent: HAProxy drops longer ones without a word."""
    found: list[str] = []
    for line in lines:
        if found and len(found[-1]) + len(line) < LINE_BYTES:
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found


def word(path: Path) -> str:
    """A path as one word of a command."""
    return re.sub(r"([\\ ;])", r"\\\1", str(path))


def _unavailable(socket: Path, error: Exception) -> errors.Unavailable:
    return errors.Unavailable(f"HAProxy does not answer at {socket}: {str(error) or 'no answer in time'}")


async def _exchange(socket: Path, line: str, silence: float) -> str:
    async with asyncio.timeout(silence):
        reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        return await _said(reader, writer, line, silence)
    finally:
        writer.close()


async def _said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, silence: float) -> str:
    """The answer to its end, which may be long: only `silence`, in seconds, is too long. Raises: TimeoutError."""
    writer.write(line.encode() + b"\n")
    writer.write_eof()
    found = []
    async with asyncio.timeout(silence) as limit:
        while part := await reader.read(_PART_BYTES):
            found.append(part)
            limit.reschedule(asyncio.get_running_loop().time() + silence)
    return b"".join(found).decode(errors="replace")
