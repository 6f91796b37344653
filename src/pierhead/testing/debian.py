"""Packages of another Debian release, for tests against the real thing: fetched as this machine gets its own.

Nothing is installed: they are unpacked into a cache folder of the user. No address of any archive is known here; it is
the one that the machine's own apt uses.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from pierhead.kit import errors

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FORMAT = "$(REPO_URI)|$(ORIGIN)"
_LIMIT = timedelta(minutes=5)


def unpacked(suite: str, packages: Sequence[str], *, hint: str) -> Path:
    """The folder with these packages' files, the first one giving it its name. Blocks while they are fetched, once.

    Raises: Unavailable with the reason and `hint`.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pierhead" / packages[0]
    root = cache / "root"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        if not root.exists():
            sys.stderr.write(f"fetches {packages[0]} of Debian's {suite}, once, into {cache}\n")
            _fetch(cache, suite, packages, hint)
    return root


def prefetch(program: Callable[[], object]) -> None:
    """What `program` fetches is there before any test asks for it. Exits with the reason when it cannot be."""
    try:
        program()
    except errors.Unavailable as error:
        sys.exit(str(error))


def _fetch(cache: Path, suite: str, packages: Sequence[str], hint: str) -> None:
    reasons = []
    for archive in _archives(hint):
        try:
            _unpack(_download(cache, f"{archive} {suite}", packages), cache / "root")
        except (subprocess.SubprocessError, OSError, IndexError) as error:
            reasons.append(f"{suite}: {_reason(error)}")
        else:
            return
    told = "; ".join(reasons) or "apt knows no Debian archive"
    raise errors.Unavailable(f"There is no {packages[0]} to test against: {told}", hint=hint)


def _archives(hint: str) -> list[str]:
    """The Debian archives that this machine's apt reads."""
    command = ["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages", "Component: main"]
    try:
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (subprocess.SubprocessError, OSError) as error:
        raise errors.Unavailable(f"apt-get does not say where Debian is: {_reason(error)}", hint=hint) from error
    pairs = (line.split("|") for line in text.splitlines())
    return list(dict.fromkeys(uri for uri, origin in pairs if origin in ("Debian", "") and "security" not in uri))


def _download(cache: Path, source: str, packages: Sequence[str]) -> list[Path]:
    """The packages' files, verified by apt against Debian's keys."""
    for folder in ("state/lists/partial", "archives/archives/partial"):
        (cache / folder).mkdir(parents=True, exist_ok=True)
    (cache / "state" / "status").touch()
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (cache / "sources.list").write_text(f"deb {signed}{source} main\n")
    places = {
        "Dir::State": cache / "state",
        "Dir::State::status": cache / "state" / "status",
        "Dir::Cache": cache / "archives",
        "Dir::Etc::sourcelist": cache / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Sandbox::User": "root",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }
    given = [part for name, value in places.items() for part in ("-o", f"{name}={value}")]
    for verb in (["update"], ["download", *packages]):
        subprocess.run(
            ["apt-get", "-q", *given, *verb],
            cwd=cache,
            check=True,
            capture_output=True,
            text=True,
            timeout=_LIMIT.total_seconds(),
        )
    return [sorted(cache.glob(f"{package}_*.deb"))[-1] for package in packages]


def _unpack(packages: Sequence[Path], root: Path) -> None:
    """`root` holds the packages' files, all or none of them."""
    partial = root.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", str(package), str(partial)], check=True, capture_output=True, text=True)
    partial.rename(root)


def _reason(error: Exception) -> str:
    told = getattr(error, "stderr", "") or str(error)
    return told.strip().splitlines()[-1] if told.strip() else type(error).__name__


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Nobody else fetches at the same time."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
