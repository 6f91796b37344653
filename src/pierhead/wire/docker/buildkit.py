"""The engine's BuildKit, by way of a docker client: only that speaks the protocol of BuildKit's sessions.

The client of Docker 20.10 has it built in; newer ones have it with the plugin buildx. Source: `docker build`, BuildKit.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pierhead.kit import errors
from pierhead.wire.docker.images import Build, Credentials

_PLACES = ("/usr/bin/docker", "/usr/local/bin/docker")
_BUILT_IN_UNTIL = 23
_VERSION = re.compile(r"Docker version (\d+)\.")
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class Session:
    """What a build is given that is in no context."""

    program: str
    """A client that `found` has found."""
    engine: str
    """The engine's address."""
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """By id, for `RUN --mount=type=secret,id=…`."""
    credentials: Credentials | None = None


async def found() -> str:
    """The docker client of this machine that speaks to BuildKit; empty when none does."""
    for program in dict.fromkeys(filter(None, (shutil.which("docker"), *_PLACES))):
        if await asyncio.to_thread(os.access, program, os.X_OK) and await _speaks(program):
            return program
    return ""


def built_in(version: str) -> bool:
    """Of `docker --version`: this client needs no plugin."""
    said = _VERSION.search(version)
    return said is not None and int(said[1]) < _BUILT_IN_UNTIL


async def build(session: Session, context: Path, how: Build) -> AsyncIterator[str]:
    """The engine has the image at the end; what BuildKit wrote. `context` is a tar, compressed or not.

    Secrets are in no file, no argument and no variable: the client reads them from memory. Limits of `how` do not hold,
    BuildKit knows none. Raises: Failed with its last words.
    """
    with ExitStack() as stack:
        files = {name: stack.enter_context(_in_memory(name, value)) for name, value in session.secrets.items()}
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pier-docker-"))
        await asyncio.to_thread(_configure, Path(folder), session.credentials)
        tar = stack.enter_context(context.open("rb"))
        process = await asyncio.create_subprocess_exec(
            session.program,
            *arguments(how, files),
            stdin=tar,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=list(files.values()),
            env=_environment(session, folder),
            limit=_LONGEST_LINE,
        )
        async for line in _written(process):
            yield line


def arguments(how: Build, secrets: Mapping[str, int]) -> Sequence[str]:
    """Of the client. What it has in its own environment (proxies, maybe with a password) is named only, and nothing
    else is put there: what an app file says must not steer a program of the server. Secrets are behind descriptors."""
    words = ["build", "--progress=plain", f"--tag={how.tag}", f"--file={how.dockerfile}"]
    words += [f"--target={how.target}"] if how.target else []
    words += ["--no-cache"] if how.no_cache else []
    known = os.environ
    words += [
        f"--build-arg={name}" if known.get(name) == text else f"--build-arg={name}={text}"
        for name, text in how.args.items()
    ]
    words += [f"--label={name}={value}" for name, value in how.labels.items()]
    words += [f"--secret=id={name},src=/proc/self/fd/{number}" for name, number in secrets.items()]
    return [*words, "-"]


async def _written(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    """What it writes. It has ended then. Raises: Failed."""
    assert process.stdout  # noqa: S101 - it was asked for
    last = ""
    try:
        async for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            last = line or last
            yield line
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code:
        raise errors.Failed(last.removeprefix("ERROR: ") or f"docker build ended with {code}.")


def _environment(session: Session, folder: str) -> dict[str, str]:
    own = {"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default", "DOCKER_CONFIG": folder, "DOCKER_HOST": session.engine}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "BUILDX_"))}
    return {**kept, **own}


def _configure(folder: Path, credentials: Credentials | None) -> None:
    """The client's own folder says who we are at the registry."""
    known = {}
    if credentials:
        pair = f"{credentials.username}:{credentials.password}".encode()
        known = {credentials.registry: {"auth": base64.b64encode(pair).decode()}}
    file = folder / "config.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"auths": known}))


@contextlib.contextmanager
def _in_memory(name: str, value: bytes) -> Iterator[int]:
    """The descriptor of a file that is on no disk."""
    number = os.memfd_create(name)
    try:
        os.write(number, value)
        yield number
    finally:
        os.close(number)


async def _speaks(program: str) -> bool:
    if await _asked(program, "buildx", "version") is not None:
        return True
    return built_in(await _asked(program, "--version") or "")


async def _asked(*command: str) -> str | None:
    """What it wrote; None when it failed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    return None if process.returncode else output.decode(errors="replace")
