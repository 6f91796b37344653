"""The files of `services.d`: which host services there are now, by rules that a half-written file cannot break.

- A file counts once it has stood still: between two looks, or for `_STILL`. Names that begin with `.` never count, so
  whoever writes a temporary file and renames it is never read too early.
- A file that is not valid, or that names a service which another file has, is left out whole and told; what its last
  valid version said holds on, also after the agent was started again. One that never was valid says nothing.
- A file that is removed takes its services with it. A folder that cannot be read takes nothing.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pierhead.appfile import host_file
from pierhead.kit import errors, files
from pierhead.kit.errors import Problem
from pierhead.model.host import Service

log = logging.getLogger(__name__)

_STILL_SECONDS = 2.0
_LARGEST_BYTES = 1 << 20

Signature = tuple[int, int, int]
"""Inode, size, and when it was last written, in nanoseconds."""


@dataclass(slots=True)
class _File:
    services: tuple[Service, ...] | None = None
    """Of its last valid version; None when there was none."""
    read: Signature | None = None
    """What was last read, valid or not."""
    problems: tuple[Problem, ...] = ()
    is_contested: bool = False
    """Another file has one of its services: it is tried again, because that one may give it up."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the folder says now."""

    services: Mapping[str, Service] = field(default_factory=dict)
    """By instance."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Instance → the file that declares it."""
    problems: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)
    """File, or folder → what is wrong with it."""
    is_read: bool = True
    """False: the folder could not be read, or a file that is new was not read yet, and more services than these may be
    there."""


class Folder:
    """`look` says what there is; between two calls nothing is watched."""

    def __init__(self, folder: Path, kept: Path) -> None:
        """`kept`: where the last valid version of every file stays. Raises: nothing; what is unreadable is left out."""
        self._folder, self._kept = folder, kept
        kept.mkdir(parents=True, exist_ok=True)
        self._seen: dict[str, Signature] = {}
        self._gone: set[str] = set()
        self._files = {path.name: kept_file for path in _listed(kept) if (kept_file := _read_kept(path))}

    def look(self) -> Found:
        """Blocks on the disk. Never raises: what cannot be read is a problem of its file or of the folder."""
        try:
            now = _signatures(self._folder) if self._files or self._folder.exists() else {}
        except OSError as error:
            return replace(self._found({str(self._folder): (_unreadable(self._folder, error),)}), is_read=False)
        for name, signature in sorted(now.items()):
            if self._is_still(name, signature):
                self._take(name, signature)
        self._remove(now)
        self._seen = now
        return replace(self._found({}), is_read=now.keys() <= self._files.keys())

    def _is_still(self, name: str, signature: Signature) -> bool:
        return self._seen.get(name) == signature or time.time() - signature[2] / 1e9 > _STILL_SECONDS

    def _take(self, name: str, signature: Signature) -> None:
        """The file is read when it is another one than it was."""
        file = self._files.setdefault(name, _File())
        if file.read == signature and not file.is_contested:
            return
        is_new, file.read = file.read != signature, signature
        try:
            text = _bytes(self._folder / name)
            services = host_file.read(text, name)
            self._refuse_twice(name, services)
        except errors.Refused as error:
            if is_new:
                log.warning("Left out a file of host services: %s", error, extra={"file": str(self._folder / name)})
            file.problems, file.is_contested = error.problems, isinstance(error, errors.Conflict)
            return
        if file.services != services:
            log.info("Took %s with %d host services.", self._folder / name, len(services))
        file.services, file.problems, file.is_contested = services, (), False
        files.replace(self._kept / name, text.decode(), durable=False)

    def _refuse_twice(self, name: str, services: tuple[Service, ...]) -> None:
        """Raises: Conflict (another file has a service of that name: who was first keeps it)."""
        owner = {one.name: other for other, file in self._files.items() for one in file.services or () if other != name}
        if taken := [
            Problem(f"{name} services.{one.name}", f"{owner[one.name]} has a service of that name")
            for one in services
            if one.name in owner
        ]:
            raise errors.Conflict(f"{name} is not valid.", problems=taken, hint="Give it another name.")

    def _remove(self, now: Mapping[str, Signature]) -> None:
        """A file is removed once two looks in a row have not seen it."""
        missing = self._files.keys() - now.keys()
        for name in missing & self._gone:
            log.info("%s is gone, and its host services with it.", self._folder / name)
            del self._files[name]
            (self._kept / name).unlink(missing_ok=True)
        self._gone = missing - (missing & self._gone)

    def _found(self, problems: dict[str, tuple[Problem, ...]]) -> Found:
        services, owners = {}, {}
        for name, file in sorted(self._files.items()):
            for one in file.services or ():
                services[one.instance], owners[one.instance] = one, name
            if file.problems:
                problems[name] = file.problems
        return Found(services, owners, problems)


def _signatures(folder: Path) -> dict[str, Signature]:
    found = {}
    for path in _listed(folder):
        try:
            stat = path.stat()
        except OSError:
            continue  # a link to nowhere, or gone meanwhile
        found[path.name] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def _listed(folder: Path) -> list[Path]:
    names = sorted(os.listdir(folder))
    return [folder / name for name in names if name.endswith(host_file.SUFFIXES) and not name.startswith(".")]


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise errors.Invalid(
            f"{path} cannot be read: {error.strerror}.",
            problems=[Problem(path.name, f"cannot be read: {error.strerror}")],
        ) from error


def _read_kept(path: Path) -> _File | None:
    try:
        return _File(host_file.read(path.read_bytes(), path.name))
    except (OSError, errors.PierError) as error:
        log.warning("Forgot the last valid version of a file of host services.", extra={"problem": str(error)})
        path.unlink(missing_ok=True)
        return None


def _unreadable(folder: Path, error: OSError) -> Problem:
    hint = "what it said last holds on; an empty folder takes it back"
    return Problem(str(folder), f"cannot be read: {error.strerror}", hint)
