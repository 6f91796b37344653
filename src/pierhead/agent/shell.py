"""What is run when somebody wants a shell: the image's own, or the one in `/.pier` where the image has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pierhead.model import dot_pier
from pierhead.wire.docker import containers
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.containers import Container

BUSYBOX = dot_pier.BUSYBOX
_NAMES = ("sh", "/bin/sh")
_ANY = "if command -v bash >/dev/null; then exec bash; else exec sh; fi"
_BEST = (
    "for shell in /bin/bash /usr/bin/bash /usr/local/bin/bash /bin/sh /usr/bin/sh; do "
    f'[ -x "$shell" ] && exec "$shell"; done; exec {BUSYBOX} sh'
)


async def words(engine: Engine, container: str, asked: Sequence[str]) -> list[str]:
    """The command that is asked for; a shell when it is none. Raises: NotFound (no such container)."""
    if asked and asked[0] not in _NAMES:
        return list(asked)
    has_busybox = _has_busybox(await containers.inspect(engine, container))
    if not asked:
        return [BUSYBOX, "sh", "-c", _BEST] if has_busybox else ["/bin/sh", "-c", _ANY]
    if has_busybox and not await _has_shell(engine, container):
        return [BUSYBOX, "sh", *asked[1:]]
    return list(asked)


def _has_busybox(container: Container) -> bool:
    sources = [mount["Source"] for mount in container.raw["Mounts"] if mount["Destination"] == dot_pier.TARGET]
    return any((Path(source) / "busybox").exists() for source in sources)


async def _has_shell(engine: Engine, container: str) -> bool:
    paths = ("/bin/sh", "/usr/bin/sh")
    return any([await containers.has_path(engine, container, path) for path in paths])
