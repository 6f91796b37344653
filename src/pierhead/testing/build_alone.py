"""A build in a process of its own, as on another machine: `build_alone WORK BARE REGISTRY UID COMPRESSION`.

Prints the digest of the image of what is on `main` of WORK, which is built on the image `tiny:1` of that registry.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from pathlib import Path

from pierhead.build import image, source
from pierhead.build.image import Limits, Request
from pierhead.model.app import BuildSpec
from pierhead.wire.docker.client import Engine
from pierhead.wire.oci.access import Access

URL = "https://ada:token@git.example.com/team/alone.git"
"""Where the commit is said to be from."""


async def main(work: str, bare: str, registry: str, uid: str, compression: str) -> None:
    await asyncio.to_thread(_known_before)
    os.setgid(int(uid))  # only now: another user may not be able to read this Python
    os.setuid(int(uid))
    commit = await source.fetch(Path(bare), work, "main")
    engine = Engine("unix:///nowhere")  # none is needed
    spec, limits = BuildSpec(base="tiny:1"), Limits(1, 1 << 30)
    request = Request(
        "alone", commit, Path(bare), spec, Access(registry), engine, limits, source=URL, compression=compression
    )
    made = await image.build_and_push(request, _unheard)
    sys.stdout.write(made.reference.partition("@")[2])


def _known_before() -> None:
    """What Python reads late has been read."""
    for name in ("encodings.idna", "concurrent.futures.thread", "zlib", "unicodedata", "stringprep"):
        importlib.import_module(name)


async def _unheard(step: str, text: str) -> None:
    """The log is not looked at."""


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
