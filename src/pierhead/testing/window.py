"""A server that dies while its registry's garbage is collected: `window HOME PORT`, with a collector that never ends.

Prints `open` once the registry takes no uploads and the collector runs; then it waits to be killed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path

from pierhead.boot import registry
from pierhead.boot.supervise import Board, Report
from pierhead.kit import files
from pierhead.settings import Registry, Settings
from pierhead.wire.oci import distribution

_SLOW = """\
#!/bin/sh
[ "$1" = serve ] && exec {program} "$@"
echo open
exec sleep 1000
"""


def report() -> Report:
    """What the registry is given to say how it is."""
    return Report(Board([registry.NAME]), registry.NAME)


async def main(home: str, port: str) -> None:
    settings = Settings(home=Path(home), registry=Registry(port=int(port)))
    window = registry.Window()
    _be_slow(settings.home / "bin")
    async with asyncio.TaskGroup() as group:
        group.create_task(registry.run(settings, report(), window))
        async with window.opened():
            log = settings.home / "log" / "garbage.log"
            group.create_task(distribution.collect_garbage(settings.registry_config, log))
            await asyncio.to_thread(_begun, log)
            sys.stdout.write("open\n")
            sys.stdout.flush()
            await asyncio.sleep(1000)


def _begun(log: Path) -> None:
    """The collector has written something."""
    while not files.size(log):
        time.sleep(0.02)


def _be_slow(folder: Path) -> None:
    folder.mkdir()
    program = folder / "docker-registry"
    program.write_text(_SLOW.format(program=shutil.which("docker-registry")))
    program.chmod(0o755)
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
