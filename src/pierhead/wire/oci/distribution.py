"""The distribution's own registry program, where it runs on this machine."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import bcrypt

from pierhead.kit import errors, files, process
from pierhead.wire.oci.access import Account

_COLLECTOR = "registry-garbage"
_ROUNDS = 4
"""Of bcrypt, the least that it has: it is computed for every request, and our passwords are long and random."""


def htpasswd(accounts: Sequence[Account]) -> str:
    """The file that lets these accounts in. A running registry reads it again when it has changed.

    Source: distribution, configuration reference 2.8, `auth.htpasswd`.
    """
    return "".join(
        f"{one.username}:{bcrypt.hashpw(one.password.encode(), bcrypt.gensalt(_ROUNDS)).decode()}\n" for one in accounts
    )


def forget_uploads(storage: Path, names: Sequence[str], untouched: timedelta = timedelta(0)) -> int:
    """Uploads to those repositories (`*` for one part of a name) that nobody goes on with take no room; how many.

    The registry itself cannot end an upload that broke off, as on a full disk, and keeps it for a week. Only for
    repositories that nobody pushes to now; `untouched`: for so long. Blocks.
    """
    before = time.time() - untouched.total_seconds()
    repositories = storage / "docker" / "registry" / "v2" / "repositories"
    found = [upload for name in names for upload in repositories.glob(f"{name}/_uploads/*")]
    over = [one for one in found if max(_times(one), default=before) <= before]
    for one in over:
        shutil.rmtree(one, ignore_errors=True)
    return len(over)


def _times(folder: Path) -> Iterator[float]:
    """When each file in it changed last."""
    for file in (folder, *folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            yield file.stat().st_mtime


async def collect_garbage(config: Path, log: Path) -> None:
    """The storage of the registry with that configuration has no blob that no manifest names.

    Only while nobody pushes: it would take blobs of an image that is not whole yet. So the program is remembered beside
    the configuration: whoever dies here leaves it running, and `stop_collecting` comes before uploads are taken again.
    Source: distribution, "Garbage collection". Raises: Failed.
    """
    begin = files.size(log)
    collector = process.start(
        _COLLECTOR, ("docker-registry", "garbage-collect", str(config)), run=config.parent, log=log
    )
    try:
        status = await process.exited(collector)
    finally:
        await stop_collecting(config)
    if status:
        last = "".join(files.last_lines(log, 1, start=begin))
        raise errors.Failed(f"The registry's garbage could not be collected: {last}", hint=f"Its log: {log}")


async def stop_collecting(config: Path) -> None:
    """Nothing is removed from that storage any more: blobs that come from now on stay."""
    if collector := process.adopt(_COLLECTOR, config.parent):
        await process.stop(collector)
