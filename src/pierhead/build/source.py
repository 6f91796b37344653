"""Commits on this machine: fetched or uploaded, read, and turned into a layer that is the same everywhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tarfile
import weakref
from collections.abc import AsyncGenerator, Container, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from pierhead.build import ignore, layer
from pierhead.kit import errors, tasks, units
from pierhead.wire.git import modules
from pierhead.wire.git import repository as git
from pierhead.wire.git.access import NOBODY, Access
from pierhead.wire.git.modules import Module
from pierhead.wire.git.repository import Commit, Entry

__all__ = ["Access", "Commit", "How", "Tree", "fetch", "read", "read_all", "receive", "tar", "tree"]

_LINK, _EXECUTABLE = "120000", "100755"
_COMMIT = re.compile(r"[0-9a-f]{4,64}")
_DEEPEST = 8
"""Of submodules in submodules."""
_LOOK = timedelta(milliseconds=200)
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

    @property
    def executable(self) -> list[str]:
        return [entry.name for entry in self.entries if entry.mode == _EXECUTABLE]


@dataclass(frozen=True, slots=True)
class How:
    """How a repository is fetched."""

    access: Access = NOBODY
    most_bytes: int = 1 << 40
    """Of the repository with its history; and of the files of one commit."""


async def fetch(repository: Path, url: str, ref: str, how: How = How()) -> Commit:
    """The commit that `ref` means at `url` is here, its submodules too.

    Raises: NotFound, Invalid, Denied, Unavailable.
    """
    async with _fetching.setdefault(repository, asyncio.Lock()):
        await _prepared(repository)
        await _limited(repository, how, git.fetch(repository, url, how.access))
        commit = await git.resolve(repository, git.HEAD if ref == "HEAD" else ref)
        if _COMMIT.fullmatch(ref) and not await git.is_published(repository, commit):
            raise errors.NotFound(
                f"No branch or tag of the repository leads to the commit {ref} any more: it was pushed away.",
                hint="Build the branch instead, or push the commit again.",
            )
        await _modules(repository, commit, url, how)
    return await git.describe(repository, commit)


def origin(url: str) -> str:
    """The git URL as others may read it: without a password or token; empty for what is no URL of another machine."""
    if scp := re.fullmatch(r"([\w.-]+@)?([\w.-]+):(?!//)([^:]+)", url):
        return f"ssh://{scp[1] or ''}{scp[2]}/{scp[3].lstrip('/')}"
    found = urlsplit(url)
    if found.scheme not in ("https", "http", "ssh", "git") or not found.hostname:
        return ""
    user = f"{found.username}@" if found.scheme == "ssh" and found.username else ""
    host = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
    return f"{found.scheme}://{user}{host}{f':{found.port}' if found.port else ''}{found.path}"


async def receive(repository: Path, bundle: Path, ref: str, how: How = How()) -> Commit:
    """The commit `ref` of an uploaded bundle is here. Raises: NotFound, Invalid (the bundle is broken)."""
    async with _fetching.setdefault(repository, asyncio.Lock()):
        await _prepared(repository)
        await _limited(repository, how, git.receive(repository, bundle))
        commit = await git.resolve(repository, ref)
        await _modules(repository, commit, "", how)
    return await git.describe(repository, commit)


async def _prepared(repository: Path) -> None:
    """There is a repository, and nothing in it of a server that died."""
    await asyncio.to_thread(git.forget_unfinished, repository)
    await git.initialise(repository)


async def _limited(repository: Path, how: How, work: Coroutine[Any, Any, None]) -> None:
    """`work` has made the repository no larger than it may be. One that is too large is forgotten. Raises: Invalid."""
    done = await tasks.unless(_outgrown(repository, how.most_bytes), work)
    if not done or await asyncio.to_thread(_size, repository) > how.most_bytes:
        await asyncio.to_thread(shutil.rmtree, repository)
        raise errors.Invalid(
            f"The repository has more than {units.size_text(how.most_bytes)} with its history.",
            hint="The setting build.repository_bytes is the limit. `git rev-list --objects --all` finds what is large.",
        )


async def _outgrown(repository: Path, most_bytes: int) -> None:
    """Returns when it has more."""
    while True:
        await asyncio.sleep(_LOOK.total_seconds())
        if await asyncio.to_thread(_size, repository) > most_bytes:
            return


def _size(repository: Path) -> int:
    found = 0
    for folder, _, names in os.walk(repository / "objects"):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # git renames what is complete
                found += os.stat(os.path.join(folder, name)).st_size
    return found


async def _modules(repository: Path, commit: str, url: str, how: How, depth: int = 0) -> None:
    """The commits that submodules name are here too, beside the app's own. Raises: NotFound, Invalid, …"""
    for module in await modules.of(repository, commit):
        if depth == _DEEPEST:
            raise errors.Invalid(f"The submodule {module.path!r} is in more than {_DEEPEST} others.")
        try:
            address = modules.resolved(module.url, url)
            if not await modules.has(repository, module.commit):
                await _limited(repository, how, _module(repository, module, address, how.access))
            await _modules(repository, module.commit, address, how, depth + 1)
        except errors.PierError as error:
            text = f"The submodule {module.path!r} cannot be had: {error.message}"
            raise type(error)(text, hint=error.hint) from error


async def _module(repository: Path, module: Module, address: str, access: Access) -> None:
    await git.fetch_below(repository, address, module.refs(address), access)
    if not await modules.has(repository, module.commit):
        try:
            await git.fetch_commit(repository, address, module.commit, access)
        except errors.Failed as error:
            reason = f"{address} has no commit {module.commit[:10]}."
            raise errors.NotFound(reason, hint="Push it there, or set the submodule to one that is.") from error


async def read(repository: Path, commit: str, path: str) -> bytes | None:
    """One file of the commit; None when it has none of that name."""
    return await git.show(repository, commit, path)


async def read_all(repository: Path, found: Tree, names: Container[str]) -> dict[str, bytes]:
    """The contents of those of the files that the tree has."""
    wanted = [entry for entry in found.entries if entry.name in names and entry.mode != _LINK]
    async with aclosing(git.contents(repository, [entry.object for entry in wanted])) as contents:
        entries = iter(wanted)
        return {next(entries).name: content async for content in contents}


async def tree(repository: Path, commit: Commit, most_bytes: int = 1 << 40) -> Tree:
    """What of the commit belongs in an image: all of it but what `.pierignore` or `.dockerignore` names.

    Raises: Invalid (nothing is left, or too much).
    """
    entries = sorted(await _entries(repository, commit.id), key=lambda entry: entry.path)
    names = {entry.name for entry in entries}
    if rules := next((name for name in ignore.FILES if name in names), ""):
        text = await read(repository, commit.id, rules) or b""
        is_ignored = ignore.ignoring(text.decode(errors="surrogateescape"))
        entries = [entry for entry in entries if not is_ignored(entry.name)]
    if not entries:
        reason = f"{rules} leaves nothing of it" if names else "it has no files"
        raise errors.Invalid(f"Nothing can be built of commit {commit.id[:10]}: {reason}.")
    if sum(entry.size for entry in entries) > most_bytes:
        largest = max(entries, key=lambda entry: entry.size)
        raise errors.Invalid(
            f"The files of commit {commit.id[:10]} have more than {units.size_text(most_bytes)}; the largest is "
            f"{_shown(largest)} with {units.size_text(largest.size)}.",
            hint="Name what the app does not need in .pierignore; the setting build.repository_bytes is the limit.",
        )
    return Tree(commit, entries)


async def _entries(repository: Path, commit: str, prefix: bytes = b"") -> list[Entry]:
    """Every file, those of submodules at their places."""
    found: list[Entry] = []
    for entry in await git.entries(repository, commit):
        placed = replace(entry, path=prefix + entry.path)
        is_module = entry.mode == git.SUBMODULE
        found += await _entries(repository, entry.object, placed.path + b"/") if is_module else [placed]
    return found


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
