"""An image that holds busybox and nothing else: it starts at once, and its web server ends at once on SIGTERM."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from pierhead.kit import errors
from pierhead.wire.docker import images
from pierhead.wire.docker.client import Engine
from pierhead.wire.docker.images import Build

IMAGE = "pier-agent-lab:1"
_DOCKERFILE = b"""FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
COPY index.html /www/index.html
EXPOSE 8000/tcp
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["exec busybox httpd -f -p 8000 -h /www"]
"""


async def image(
    engine: Engine, tag: str = IMAGE, dockerfile: bytes = _DOCKERFILE, more: Mapping[str, bytes] | None = None
) -> str:
    """The engine has the image `tag`; what it is made of may be `busybox`, `index.html`, and `more`."""
    try:
        await images.inspect(engine, tag)
    except errors.NotFound:
        files = {"Dockerfile": dockerfile, "busybox": _busybox(), "index.html": b"hello\n", **(more or {})}
        async for _ in images.build(engine, _tar(files), Build(tag)):
            pass
    return tag


def _busybox() -> bytes:
    found = shutil.which("busybox")
    if not found:
        raise errors.NotFound("There is no busybox to make an image from.", hint="apt-get install busybox-static")
    return Path(found).read_bytes()


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
