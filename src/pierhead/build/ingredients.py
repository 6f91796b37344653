"""What recipes are made from and made of. Pure."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FOLDER = "/app"
"""Where the commit is in the image."""


@dataclass(frozen=True, slots=True)
class Files:
    """The names of a commit's files, and the contents of those that recipes read."""

    names: frozenset[str]
    contents: Mapping[str, bytes] = field(default_factory=dict)
    executable: frozenset[str] = frozenset()
    """Those that git marks so."""

    def has(self, name: str) -> bool:
        return name in self.names or name in self.contents

    def text(self, name: str) -> str:
        """Empty where there is no such file."""
        return self.contents.get(name, b"").decode(errors="replace")

    def first(self, *names: str) -> str:
        """The first of them that the commit has; empty for none."""
        return next((name for name in names if self.has(name)), "")


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What is installed once and shared by every commit, of any app, with the same lock file."""

    lock: str
    """The name of the lock file, for people."""
    inputs: Mapping[str, bytes]
    """What `/build` holds."""
    script: str
    """Run by `/bin/sh -e` in `/build`."""
    result: str
    """The folder that is the layer, where it is in the image."""
    builder: str
    """The base image that the script runs in."""
    compiling_builder: str = ""
    """The one that it runs in again when a compiler was missing; empty: there is none."""
    is_in_image: bool = True
    """False: only the build command needs it."""

    def key(self, builder_digest: str) -> str:
        """Equal keys give equal layers."""
        parts = [self.script.encode(), self.result.encode(), builder_digest.encode()]
        for name, content in sorted(self.inputs.items()):
            parts += [name.encode(), content]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class Work:
    """The owner's own build command, run in the commit's files."""

    script: str
    """Run by `/bin/sh -e` in `/app`, which holds the commit."""
    builder: str
    output: str = ""
    """The only folder that the image gets; empty: all."""
    on_dependencies: bool = False
    """The dependency layer is there too."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Base layers, a dependency layer and a code layer. The kind `dockerfile` has none of them."""

    kind: str
    reasons: Sequence[str]
    base: str = ""
    """One of Pierhead's own base images, or any image's name."""
    dependencies: Dependencies | None = None
    work: Work | None = None
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def explain(self) -> list[str]:
        """What was recognised and why, and what will be done."""
        lines = [f"{self.kind}: {', '.join(self.reasons)}"]
        if self.base:
            lines.append(f"base image: {self.base}")
        if self.dependencies:
            lines.append(f"dependencies: {self.dependencies.lock}, into {self.dependencies.result}")
        if self.work:
            lines.append(f"build: {self.work.script.splitlines()[-1]}")
        if self.command:
            lines.append(f"starts with: {shlex.join(self.command)}")
        return lines


def procfile(files: Files) -> Sequence[str]:
    """The command of `web` in the Procfile; nothing where there is none."""
    for line in files.text("Procfile").splitlines():
        name, _, command = line.partition(":")
        if name.strip() == "web" and command.strip():
            return shell(command.strip())
    return ()


def shell(line: str) -> Sequence[str]:
    """The line in a shell that it replaces, so that it gets the signals."""
    is_one = not any(mark in line for mark in ("&&", "||", ";", "|", "\n"))
    return ("/bin/sh", "-c", f"exec {line}" if is_one and not line.startswith("exec ") else line)
