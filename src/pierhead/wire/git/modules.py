"""Submodules: what a commit says of them. Their commits are kept beside it, in the same repository."""

from __future__ import annotations

import hashlib
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from pierhead.kit import errors
from pierhead.wire.git import command
from pierhead.wire.git.repository import SUBMODULE, entries

_KEY = re.compile(r"submodule\.(?P<name>.*)\.(?P<field>path|url)", re.DOTALL)
_SSH = re.compile(r"(?P<host>[^/:]+@?[^/:]*):(?P<path>.*)")
"""`git@host:team/app.git`"""


@dataclass(frozen=True, slots=True)
class Module:
    path: str
    commit: str
    url: str
    """As `.gitmodules` has it: it may begin with `./` or `../`. Empty: it has none."""

    def refs(self, address: str) -> str:
        """The folder of refs under which what is at that address is kept."""
        return f"refs/pier/modules/{hashlib.sha256(address.encode()).hexdigest()[:16]}"


async def of(folder: Path, commit: str) -> list[Module]:
    """The submodules of the commit, in the order of their paths. Raises: Invalid (`.gitmodules` cannot be read)."""
    found = [entry for entry in await entries(folder, commit) if entry.mode == SUBMODULE]
    if not found:
        return []
    urls = await _urls(folder, commit)
    return [Module(entry.name, entry.object, urls.get(entry.name, "")) for entry in found]


async def has(folder: Path, commit: str) -> bool:
    """The commit is here, with all that it needs."""
    try:
        await command.run(folder, "cat-file", "-e", f"{commit}^{{tree}}")
    except errors.Failed:
        return False
    return True


def resolved(url: str, parent: str) -> str:
    """The address that `url` means in a repository that came from `parent`. Raises: Invalid.

    Source: gitmodules(5): `./` and `../` are relative to the repository's own address.
    """
    if not url or url.startswith("-") or "\n" in url or "\0" in url:
        raise errors.Invalid(f"{url!r} is no address of a submodule.", hint="`.gitmodules` must name one.")
    if not url.startswith(("./", "../")):
        if is_local(url) and not is_local(parent):
            raise errors.Invalid(
                f"The submodule's address {url!r} is a folder of this machine, and the repository is not from here.",
                hint="Use the address of a git server in `.gitmodules`.",
            )
        return url
    if not parent:
        raise errors.Invalid(
            f"The submodule's address {url!r} is relative, and an uploaded commit has no address of its own.",
            hint="Use a whole address in `.gitmodules`, or build from the git server: `pier deploy URL`.",
        )
    return _joined(parent, url)


def is_local(url: str) -> bool:
    """It names a folder of this machine."""
    return url.startswith(("/", ".", "file:")) or ("://" not in url and not _SSH.fullmatch(url))


def _joined(parent: str, url: str) -> str:
    scheme, mark, rest = parent.rpartition("://")
    if not mark and (match := _SSH.fullmatch(parent)):
        return f"{match['host']}:{_path(match['path'], url)}"
    if not mark:
        return _path(parent, url)
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}/{_path(path, url)}"


def _path(path: str, url: str) -> str:
    found = posixpath.normpath(posixpath.join(path.rstrip("/"), url))
    if found.startswith("../") or found == "..":
        raise errors.Invalid(f"The submodule's address {url!r} leads above the git server's own.")
    return found


async def _urls(folder: Path, commit: str) -> dict[str, str]:
    """Path → address."""
    blob = f"{commit}:.gitmodules"
    try:
        text = await command.run(folder, "config", "--blob", blob, "-z", "--get-regexp", r"^submodule\..*\.(path|url)$")
    except errors.Failed as error:
        raise errors.Invalid(
            f"The commit has submodules, and its .gitmodules cannot be read: {error.message}",
            hint="`git submodule add` writes it; commit it.",
        ) from error
    named: dict[str, dict[str, str]] = {}
    for line in text.decode(errors="surrogateescape").split("\0"):
        key, _, value = line.partition("\n")
        if match := _KEY.fullmatch(key):
            named.setdefault(match["name"], {})[match["field"]] = value
    return {values["path"]: values["url"] for values in named.values() if len(values) == 2}
