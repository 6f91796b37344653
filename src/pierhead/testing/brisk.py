"""An image whose web server holds 500 requests a second beside all else that a small machine does: it is HAProxy.

It ends at once on SIGTERM, with every request that it has. It answers `hello`, and `slow` after 0.3 s.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from pierhead.kit import errors
from pierhead.testing import small
from pierhead.wire.docker.client import Engine

IMAGE = "pier-brisk:1"
COMMAND = "exec haproxy -db -f /haproxy.cfg"
_DOCKERFILE = b"""FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
COPY root /
EXPOSE 8000/tcp
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["exec haproxy -db -f /haproxy.cfg"]
"""
_CONFIGURATION = b"""global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout client 60s
frontend web
  bind :8000
  acl slow path /cgi-bin/slow
  tcp-request inspect-delay 300ms
  tcp-request content accept if !slow
  tcp-request content accept if WAIT_END
  http-request return status 200 content-type text/plain string slow if slow
  http-request return status 200 content-type text/plain string hello
"""


async def image(engine: Engine) -> str:
    """The engine has the image `IMAGE`."""
    return await small.image(engine, IMAGE, _DOCKERFILE, _files())


def _files() -> Mapping[str, bytes]:
    found = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if not found:
        raise errors.NotFound("There is no haproxy to make an image from.", hint="apt-get install haproxy")
    libraries = {f"root{path}": Path(path).read_bytes() for path in _libraries(found)}
    return {"root/bin/haproxy": Path(found).read_bytes(), "root/haproxy.cfg": _CONFIGURATION, **libraries}


def _libraries(program: str) -> Iterator[str]:
    """Where the program's loader finds what it is linked with, the loader included."""
    said = subprocess.run(("ldd", program), capture_output=True, text=True, check=True).stdout
    yield from re.findall(r"(/\S+) \(0x", said)
