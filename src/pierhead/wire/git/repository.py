"""What can be asked of a repository, bare or with a work tree."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pierhead.kit import errors
from pierhead.wire.git import command
from pierhead.wire.git.access import NOBODY, Access

_FORMAT = "%H%x00%s%x00%an%x00%ct"
_UPLOADED = "refs/pier/upload"
SUBMODULE = "160000"
HEAD = "refs/pier/head"
"""What the last fetched repository says is its HEAD."""
_OF_ANYBODY = "git -c 'safe.directory=*' upload-pack"
"""Serves a local repository whoever owns it; git forgets `-c` when it starts this by itself."""


@dataclass(frozen=True, slots=True)
class Commit:
    id: str
    subject: str
    """The first line of its message."""
    author: str
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a commit's tree."""

    path: bytes
    """As git keeps it: any bytes but NUL."""
    mode: str
    """`100644`, `100755`, `120000` (symlink) or `SUBMODULE`."""
    object: str
    size: int

    @property
    def name(self) -> str:
        """The path as a text; bytes that are not UTF-8 as surrogate escapes."""
        return self.path.decode(errors="surrogateescape")


async def initialise(folder: Path) -> None:
    """There is a bare repository in `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    await command.run(None, "init", "--quiet", "--bare", str(folder))


async def resolve(folder: Path, ref: str) -> str:
    """The id of the commit that `ref` means. Raises: NotFound (with refs of a similar name), Invalid."""
    if not ref or ref.startswith("-") or any(character in ref for character in " \0\n:?*[\\"):
        raise errors.Invalid(f"{ref!r} is no branch, tag or commit.")
    try:
        found = await command.run(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except errors.Failed:
        raise await _unknown(folder, ref) from None
    return found.decode().strip()


async def describe(folder: Path, commit: str) -> Commit:
    """Raises: NotFound."""
    text = await command.run(folder, "log", "-1", f"--format={_FORMAT}", commit, "--")
    commit_id, subject, author, seconds = text.decode(errors="replace").removesuffix("\n").split("\0")
    return Commit(commit_id, subject, author, datetime.fromtimestamp(int(seconds), UTC))


async def between(folder: Path, old: str, new: str, limit: int = 100) -> list[str]:
    """The commits that `new` has and `old` has not, the newest first: `c0ffee1234 What it says`. Empty when one of the
    two is not known here."""
    try:
        text = await command.run(folder, "log", f"-{limit}", "--format=%h %s", "--abbrev=10", f"{old}..{new}", "--")
    except errors.PierError:
        return []
    return text.decode(errors="replace").splitlines()


async def entries(folder: Path, commit: str) -> list[Entry]:
    """Every file and submodule of the commit, in the order of their paths' bytes."""
    listed = await command.run(folder, "ls-tree", "-r", "-z", "--long", "--full-tree", commit)
    return [_entry(line) for line in listed.split(b"\0") if line]


async def show(folder: Path, commit: str, path: str) -> bytes | None:
    """The file of that commit; None when it has none of that name."""
    listed = await command.run(folder, "ls-tree", "-z", "--full-tree", commit, "--", f":(literal){path}")
    if not listed:
        return None
    return await command.run(folder, "cat-file", "blob", listed.split(b"\t")[0].split()[2].decode())


async def contents(folder: Path, objects: Sequence[str]) -> AsyncGenerator[bytes]:
    """The contents of those objects, one by one in their order. One process, whatever their number.

    Raises: Broken (the repository has lost one).
    """
    if not objects:
        return
    asked = "".join(f"{name}\n" for name in objects).encode()
    async with command.reading(folder, "cat-file", "--batch", "--buffer", input_=asked) as stream:
        for name in objects:
            header = (await stream.readline()).split()
            if len(header) != 3:
                raise errors.Broken(f"The repository {folder.name} has lost {name}.", hint="`git fsck` tells more.")
            yield (await stream.readexactly(int(header[2]) + 1))[:-1]


async def is_dirty(folder: Path) -> bool:
    """Its work tree has changes that are not committed."""
    return bool(await command.run(folder, "status", "--porcelain", "--untracked-files=normal"))


async def tips(folder: Path, limit: int = 100) -> list[str]:
    """The commits that branches, tags and uploads lead to, the newest first. Empty where there is no repository."""
    how = ("--sort=-committerdate", f"--count={limit}", "--format=%(objectname)")
    try:
        listed = await command.run(folder, "for-each-ref", *how)
    except errors.PierError:
        return []
    return listed.decode().split()


async def bundle(folder: Path, commit: str, target: Path, known: Sequence[str] = ()) -> None:
    """`target` holds that commit and what is before it, for somebody who has the `known` commits."""
    pack = f"{_UPLOADED}/{commit}"
    create = ("bundle", "create", "--quiet", str(target), "--ignore-missing", pack)
    await command.run(folder, "update-ref", pack, commit)
    try:
        await command.run(folder, *create, *(f"^{one}" for one in known))
    except errors.Failed as error:
        if "empty bundle" not in error.message:
            raise
        await command.run(folder, *create, f"{commit}^!")  # they have the commit: its parents too
    finally:
        await command.run(folder, "update-ref", "-d", pack)


async def receive(folder: Path, source: Path) -> None:
    """The repository has what the bundle holds. Raises: Invalid (it is no bundle, or not whole)."""
    try:
        await command.run(folder, "bundle", "verify", "--quiet", str(source))
        await command.run(folder, "fetch", "--quiet", "--no-tags", str(source), "+refs/*:refs/*")
    except errors.Failed as error:
        reason = error.message.partition(": ")[2]
        raise errors.Invalid(f"The upload is no whole git bundle: {reason}", hint="Upload it again.") from error


async def fetch(folder: Path, url: str, access: Access = NOBODY) -> None:
    """The repository has the branches and tags of `url`, those that are gone there removed.

    Raises: Invalid (no repository, or no address), NotFound, Denied, Unavailable, Failed.
    """
    try:
        await _fetch(folder, url, access, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", f"+HEAD:{HEAD}")
    except errors.Failed as error:
        if "remote ref HEAD" not in error.message:
            raise
        await _fetch(folder, url, access, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


async def fetch_below(folder: Path, url: str, refs: str, access: Access = NOBODY) -> None:
    """The repository has the branches and tags of `url` below `refs`, beside its own. Raises: what `fetch` does."""
    await _fetch(folder, url, access, f"+refs/heads/*:{refs}/heads/*", f"+refs/tags/*:{refs}/tags/*")


async def is_published(folder: Path, commit: str) -> bool:
    """Some branch or tag leads to the commit: it was not pushed away."""
    holding = ("for-each-ref", "--count=1", f"--contains={commit}", "refs/heads", "refs/tags")
    return bool(await command.run(folder, *holding))


async def fetch_commit(folder: Path, url: str, commit: str, access: Access = NOBODY) -> None:
    """The repository has that commit, if the server gives what no branch leads to. Raises: what `fetch` does."""
    await _fetch(folder, url, access, f"+{commit}:refs/pier/commits/{commit}")


def forget_unfinished(folder: Path) -> None:
    """Nothing is left of a git that was killed: no half of a pack, no lock. Only while nobody works on it. Blocks."""
    for pattern in ("objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/tmp_*", "*.lock", "refs/**/*.lock"):
        for left in folder.glob(pattern):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


async def _fetch(folder: Path, url: str, access: Access, *refs: str) -> None:
    if not url or url.startswith("-") or "\0" in url:
        raise errors.Invalid(f"{url!r} is no address of a git repository.")
    is_local = url.startswith(("/", ".", "file://"))
    server = ["--upload-pack", _OF_ANYBODY] if is_local else []
    arguments = ("fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules", *server)
    await command.run(folder, *arguments, "--end-of-options", url, *refs, access=access)


async def _unknown(folder: Path, ref: str) -> errors.NotFound:
    listed = await command.run(folder, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags")
    names = listed.decode(errors="replace").split()
    near = difflib.get_close_matches(ref, names, 3) or names[:5]
    if not names:
        return errors.NotFound(f"There is no commit {ref!r}: the repository is empty.", hint="Commit something first.")
    return errors.NotFound(f"There is no branch, tag or commit {ref!r}.", hint=f"There is {', '.join(near)}.")


def _entry(line: bytes) -> Entry:
    meta, _, path = line.partition(b"\t")
    mode, _, object_, size = meta.split()
    return Entry(path, mode.decode(), object_.decode(), int(size) if size != b"-" else 0)
