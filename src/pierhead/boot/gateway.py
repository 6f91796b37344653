"""A gateway by itself: it needs nothing but the address of a catalog."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from pierhead.gateway import loop
from pierhead.gateway.options import Options


async def alone(options: Options) -> None:
    """The gateway serves until SIGTERM or SIGINT; HAProxy goes on where `options.keep` says so. Raises: PierError."""
    task = asyncio.current_task()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, task.cancel if task else running.stop)
    with contextlib.suppress(asyncio.CancelledError):
        await loop.run(options)
