"""One exchange over a command line socket, of a worker (`stats socket`) or of the master (`-S`).

Every exchange is a connection of its own: HAProxy ends the answer by closing, once our side is closed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from pierhead.kit import errors

LINE_BYTES = 12_000
"""Most bytes of commands in one line; HAProxy reads a line into buffers of 16 KiB."""
PATH_BYTES = 96
"""Longest path of a socket: the kernel takes 107, and HAProxy needs room behind it for the name it binds first."""

PLAIN = re.compile(r"[A-Za-z0-9_.*/%+@:=,~-]+")
"""What needs no escaping as a word of a command."""


async def ask(socket: Path, line: str, *, timeout: timedelta = timedelta(seconds=10)) -> str:
    """What HAProxy answers to `line` (commands joined by `;`), whole. Raises: Unavailable.

    Source: HAProxy management guide, 9.3 Unix Socket commands.
    """
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            return await _exchange(socket, line)
    except (TimeoutError, OSError) as error:
        reason = str(error) or "no answer in time"
        raise errors.Unavailable(f"HAProxy does not answer at {socket}: {reason}") from error


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


async def _exchange(socket: Path, line: str) -> str:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        writer.write(line.encode() + b"\n")
        writer.write_eof()
        return (await reader.read()).decode(errors="replace")
    finally:
        writer.close()
