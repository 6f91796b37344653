"""A HAProxy that adds servers while it runs, for tests: Debian 13's 3.0 with its own libraries."""

from __future__ import annotations

import os
from pathlib import Path

from pierhead.testing import debian

SUITE = "trixie"
_LIBRARIES = (
    *("libc6", "libcrypt1", "libgcc-s1", "libjemalloc2", "liblua5.4-0", "libopentracing-c-wrapper0t64"),
    *("libopentracing1", "libpcre2-8-0", "libssl3t64", "libstdc++6", "libzstd1", "zlib1g"),
)
_HINT = "Name one of 3.0 or newer in PIER_TEST_HAPROXY."
_STARTED = """\
#!/bin/sh
exec "{loader}" --argv0 "$0" --library-path "{libraries}" "{program}" "$@"
"""
"""HAProxy runs itself anew by the name that it was run by, which has to lead here again."""


def program() -> str:
    """The one that PIER_TEST_HAPROXY names, or Debian's. Blocks while it is fetched. Raises: Unavailable."""
    if named := os.environ.get("PIER_TEST_HAPROXY"):
        return named
    root = debian.unpacked(SUITE, ("haproxy", *_LIBRARIES), hint=_HINT)
    started = root / "haproxy"
    if not started.exists():
        started.write_text(_script(root))
        started.chmod(0o755)
    return str(started)


def _script(root: Path) -> str:
    loader = next(root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*"))
    return _STARTED.format(loader=loader, libraries=loader.parent, program=root / "usr/sbin/haproxy")


if __name__ == "__main__":
    debian.prefetch(program)
