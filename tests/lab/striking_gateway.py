"""A gateway in a process of its own, which has a process killed at one step of a change, once it is told to.

It is told by the file `strike.json` in its data folder: {"step": "before reload", "victim": "worker"}. The file is
`struck.json` when that was done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pierhead.boot import gateway
from pierhead.gateway.options import Options
from pierhead.kit import errors
from pierhead.wire.haproxy import check, cli, master

STEPS = tuple(f"{when} {what}" for what in ("commands", "map", "check", "reload") for when in ("before", "after"))


def _steps(line: str) -> set[str]:
    """The steps that are in a line of commands."""
    beginnings = {"reload": "reload", "set server ": "commands", "add map ": "map"}
    return {step for one in line.split(";") for begin, step in beginnings.items() if one.startswith(begin)}


class Striker:
    def __init__(self, data: Path) -> None:
        self._data = data
        self._is_striking = False

    def around(self, ask: Any, steps: Callable[..., set[str]]) -> Any:
        """`ask`, with the victim killed before or after the call that has the step."""

        async def asked(*given: Any, **named: Any) -> Any:
            await self._at("before", steps(*given))
            try:
                return await ask(*given, **named)
            finally:
                await self._at("after", steps(*given))

        return asked

    async def _at(self, when: str, steps: set[str]) -> None:
        armed = self._data / "strike.json"
        if self._is_striking or not armed.exists():
            return
        told = json.loads(armed.read_text())
        if told["step"] not in {f"{when} {step}" for step in steps}:
            return
        self._is_striking = True
        pid = await self._pid(told["victim"])
        armed.rename(self._data / "struck.json")
        os.kill(pid, signal.SIGKILL)
        self._is_striking = False

    async def _pid(self, victim: str) -> int:
        if victim == "controller":
            return os.getpid()
        while True:
            with contextlib.suppress(errors.Unavailable):  # during a reload the master does not answer
                found = await master.processes(self._data / "run" / "master.sock")
                if pid := found.worker if victim == "worker" else found.master:
                    return pid
            await asyncio.sleep(0.001)


async def serve(url: str, http: str, admin: str, data: str) -> None:
    """One gateway, until it is ended."""
    striker = Striker(Path(data))
    cli.ask = striker.around(cli.ask, lambda _, line: _steps(line))
    check.check = striker.around(check.check, lambda *_: {"check"})
    options = Options("lab", url, "127.0.0.1", int(http), "127.0.0.1", int(admin), Path(data))
    await gateway.alone(options)


def main() -> None:
    """A gateway for every line that is read, in a process of its own whose pid is printed: a fork starts at once."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who ended is nobody's business
    for _ in iter(sys.stdin.readline, ""):
        if pid := os.fork():
            print(pid, flush=True)  # noqa: T201
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(2, 1)
        asyncio.run(serve(*sys.argv[1:]))
        os._exit(0)


if __name__ == "__main__":
    main()
