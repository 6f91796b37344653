"""Commits on this machine: fetched or uploaded, read, and turned into a layer that is the same everywhere."""

from __future__ import annotations

import asyncio
import tarfile
import weakref
from collections.abc import AsyncGenerator, Container, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pierhead.build import ignore, layer
from pierhead.kit import errors
from pierhead.wire.git import repository as git
from pierhead.wire.git.repository import Commit, Entry

__all__ = ["Commit", "Tree", "fetch", "read", "read_all", "receive", "tar", "tree"]

_LINK, _SUBMODULE, _EXECUTABLE = "120000", "160000", "100755"
_PIECE_BYTES = 1 << 20
_fetching: weakref.WeakValueDictionary[Path, asyncio.Lock] = weakref.WeakValueDictionary()
"""Two builds at once of one app fetch one after the other: git does not wait for its own locks."""
_LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Tree:
    """Every file of a commit, in order."""

    commit: Commit
    entries: Sequence[Entry]

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.entries]


async def fetch(repository: Path, url: str, ref: str) -> Commit:
    """The commit that `ref` means at `url` is here. Raises: NotFound, Unavailable, Invalid."""
    async with _fetching.setdefault(repository, asyncio.Lock()):
        await git.initialise(repository)
        await git.fetch(repository, url)
        return await git.describe(repository, await git.resolve(repository, git.HEAD if ref == "HEAD" else ref))


async def receive(repository: Path, bundle: Path, ref: str) -> Commit:
    """The commit `ref` of an uploaded bundle is here. Raises: NotFound, Invalid (the bundle is broken)."""
    async with _fetching.setdefault(repository, asyncio.Lock()):
        await git.initialise(repository)
        await git.receive(repository, bundle)
    return await git.describe(repository, await git.resolve(repository, ref))


async def read(repository: Path, commit: str, path: str) -> bytes | None:
    """One file of the commit; None when it has none of that name."""
    return await git.show(repository, commit, path)


async def read_all(repository: Path, found: Tree, names: Container[str]) -> dict[str, bytes]:
    """The contents of those of the files that the tree has."""
    wanted = [entry for entry in found.entries if entry.name in names and entry.mode != _LINK]
    async with aclosing(git.contents(repository, [entry.object for entry in wanted])) as contents:
        entries = iter(wanted)
        return {next(entries).name: content async for content in contents}


async def tree(repository: Path, commit: Commit) -> Tree:
    """What of the commit belongs in an image: all of it but what `.pierignore` or `.dockerignore` names.

    Raises: Invalid (submodules, which are not built yet; or nothing at all).
    """
    entries = await git.entries(repository, commit.id)
    submodules = [entry for entry in entries if entry.mode == _SUBMODULE]
    if submodules:
        problems = [errors.Problem(_shown(entry), "is a submodule") for entry in submodules]
        raise errors.Invalid(
            "Submodules cannot be built yet.", problems=problems, hint="Copy what is needed into the repository."
        )
    names = {entry.name for entry in entries}
    if rules := next((name for name in ignore.FILES if name in names), ""):
        text = await read(repository, commit.id, rules) or b""
        is_ignored = ignore.ignoring(text.decode(errors="surrogateescape"))
        entries = [entry for entry in entries if not is_ignored(entry.name)]
    if not entries:
        reason = f"{rules} leaves nothing of it" if names else "it has no files"
        raise errors.Invalid(f"Nothing can be built of commit {commit.id[:10]}: {reason}.")
    return Tree(commit, entries)


async def tar(repository: Path, found: Tree, prefix: str) -> AsyncGenerator[bytes]:
    """The tree below `prefix` as a tar that depends on nothing but the commit: its time, root, 644 or 755; in pieces.

    Raises: Invalid (Git LFS pointers, whose contents are not in the repository; links that lead out of the tree).
    """
    seconds = int(found.commit.committed_at.timestamp())
    piece = bytearray()
    for folder in _folders(found, prefix):
        piece += layer.header(_member(folder, seconds, tarfile.DIRTYPE, 0o755))
    async with aclosing(git.contents(repository, [entry.object for entry in found.entries])) as contents:
        entries = iter(found.entries)
        async for content in contents:
            _add(piece, next(entries), content, prefix, seconds)
            if len(piece) >= _PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
    yield bytes(piece) + layer.END


def _add(piece: bytearray, entry: Entry, content: bytes, prefix: str, seconds: int) -> None:
    path = f"{prefix}/{entry.name}"
    if entry.mode == _LINK:
        member = _member(path, seconds, tarfile.SYMTYPE, 0o777)
        member.linkname = _inside(entry, content.decode(errors="surrogateescape"))
        piece += layer.header(member)
        return
    if content.startswith(_LFS):
        raise errors.Invalid(
            f"{_shown(entry)} is a Git LFS pointer; its content is not in the repository.",
            hint="Commit the file itself, or fetch it in a Dockerfile.",
        )
    member = _member(path, seconds, tarfile.REGTYPE, 0o755 if entry.mode == _EXECUTABLE else 0o644)
    member.size = len(content)
    piece += layer.header(member)
    piece += content
    piece += layer.padding(len(content))


def _inside(entry: Entry, link: str) -> str:
    """Raises: Invalid when the link leads out of the tree."""
    depth = len(PurePosixPath(entry.name).parts) - 1
    for part in PurePosixPath(link).parts:
        depth += -1 if part == ".." else 0 if part == "." else 1
        if part == "/" or depth < 0:
            raise errors.Invalid(f"{_shown(entry)} is a link to {link!r}, out of the repository.")
    return link


def _folders(found: Tree, prefix: str) -> list[str]:
    """Every folder that a file is in, parents first."""
    own = {name.rpartition("/")[0] for name in found.names} - {""}
    above = {folder[:position] for folder in own for position, letter in enumerate(folder) if letter == "/"}
    return [prefix, *(f"{prefix}/{folder}" for folder in sorted(own | above))]


def _member(path: str, seconds: int, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.mtime, member.type, member.mode = seconds, kind, mode
    return member


def _shown(entry: Entry) -> str:
    return repr(entry.path.decode(errors="backslashreplace"))
