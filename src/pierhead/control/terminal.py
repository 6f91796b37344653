"""A command or a shell in an instance."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pierhead.control import instances
from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.wire.docker import exec as engine_exec
from pierhead.wire.docker.exec import Session

_SHELL = ("/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash; else exec sh; fi")


@dataclass(frozen=True, slots=True)
class Size:
    rows: int
    columns: int


@asynccontextmanager
async def opened(ctx: Context, instance: str, command: Sequence[str], size: Size | None) -> AsyncIterator[Session]:
    """The command (a shell, when it is empty) runs in the instance, in a terminal of that size or in none.

    When the caller leaves before it has ended, it is hung up on, as by a terminal that was closed.
    Raises: NotFound, Conflict (the instance does not run), Invalid (the beginning of an id is of several).
    """
    found = await instances.find(ctx, instance)
    async with engine_exec.started(ctx.engine, found.id, command or _SHELL, tty=size is not None) as session:
        if size:
            await session.resize(size.rows, size.columns)
        try:
            yield session
        finally:
            await _hang_up(session)


async def _hang_up(session: Session) -> None:
    """Its process does not outlive whoever watched it. The engine has no call for it, so the node's kernel is asked."""
    try:
        pid = await session.host_pid()
        if pid and await session.exit_code() is None:
            os.kill(pid, signal.SIGHUP)
    except (ProcessLookupError, errors.Unavailable):
        return
