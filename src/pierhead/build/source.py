"""Commits on this machine: fetched or uploaded, read, and turned into a layer that is the same everywhere."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pierhead.kit import errors
from pierhead.wire.git import repository as git
from pierhead.wire.git.repository import Commit, Entry

__all__ = ["Commit", "Tree", "fetch", "read", "receive", "tree"]

_LINK, _SUBMODULE, _EXECUTABLE = "120000", "160000", "100755"
_LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Tree:
    """Every file of a commit, in order."""

    commit: Commit
    entries: Sequence[Entry]

    @property
    def names(self) -> list[str]:
        return [entry.path.decode(errors="surrogateescape") for entry in self.entries]


async def fetch(repository: Path, url: str, ref: str) -> Commit:
    """The commit that `ref` means at `url` is here. Raises: NotFound, Unavailable, Invalid."""
    await git.initialise(repository)
    await git.fetch(repository, url)
    commit = await git.resolve(repository, "refs/pier/head" if ref == "HEAD" else ref)
    return await git.describe(repository, commit)


async def receive(repository: Path, bundle: Path, ref: str) -> Commit:
    """The commit `ref` of an uploaded bundle is here. Raises: NotFound, Failed (the bundle is broken)."""
    await git.initialise(repository)
    await git.receive(repository, bundle)
    return await git.describe(repository, await git.resolve(repository, ref))


async def read(repository: Path, commit: str, path: str) -> bytes | None:
    """One file of the commit; None when it has none of that name."""
    return await git.show(repository, commit, path)


async def tree(repository: Path, commit: Commit) -> Tree:
    """Raises: Invalid (submodules, which are not built yet; or nothing at all)."""
    entries = await git.entries(repository, commit.id)
    submodules = [entry for entry in entries if entry.mode == _SUBMODULE]
    if submodules:
        problems = [errors.Problem(_shown(entry), "is a submodule") for entry in submodules]
        raise errors.Invalid(
            "Submodules cannot be built yet.", problems=problems, hint="Copy what is needed into the repository."
        )
    if not entries:
        raise errors.Invalid(f"Commit {commit.id[:10]} has no files.")
    return Tree(commit, entries)


async def layer(repository: Path, found: Tree, prefix: str) -> bytes:
    """The tree below `prefix` as a tar that depends on nothing but the commit: its time, root, 644 or 755.

    Raises: Invalid (Git LFS pointers, whose contents are not in the repository; links that lead out of the tree).
    """
    blobs = list(dict.fromkeys(entry.object for entry in found.entries))
    contents = dict(zip(blobs, await git.read_all(repository, blobs), strict=True))
    target = io.BytesIO()
    seconds = int(found.commit.committed_at.timestamp())
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for folder in _folders(found, prefix):
            tar.addfile(_member(folder, seconds, tarfile.DIRTYPE, 0o755))
        for entry in found.entries:
            _add(tar, entry, contents[entry.object], prefix, seconds)
    return target.getvalue()


def _add(tar: tarfile.TarFile, entry: Entry, content: bytes, prefix: str, seconds: int) -> None:
    path = f"{prefix}/{entry.path.decode(errors='surrogateescape')}"
    if entry.mode == _LINK:
        member = _member(path, seconds, tarfile.SYMTYPE, 0o777)
        member.linkname = _inside(entry, content.decode(errors="surrogateescape"))
        tar.addfile(member)
        return
    if content.startswith(_LFS):
        raise errors.Invalid(
            f"{_shown(entry)} is a Git LFS pointer; its content is not in the repository.",
            hint="Commit the file itself, or fetch it in a Dockerfile.",
        )
    member = _member(path, seconds, tarfile.REGTYPE, 0o755 if entry.mode == _EXECUTABLE else 0o644)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _inside(entry: Entry, link: str) -> str:
    """Raises: Invalid when the link leads out of the tree."""
    depth = len(PurePosixPath(entry.path.decode(errors="surrogateescape")).parts) - 1
    for part in PurePosixPath(link).parts:
        depth += -1 if part == ".." else 0 if part == "." else 1
        if part == "/" or depth < 0:
            raise errors.Invalid(f"{_shown(entry)} is a link to {link!r}, out of the repository.")
    return link


def _folders(found: Tree, prefix: str) -> list[str]:
    paths = {PurePosixPath(prefix) / name for name in found.names}
    return sorted({str(parent) for path in paths for parent in path.parents} - {".", "/"})


def _member(path: str, seconds: int, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.mtime, member.type, member.mode = seconds, kind, mode
    return member


def _shown(entry: Entry) -> str:
    return repr(entry.path.decode(errors="backslashreplace"))
