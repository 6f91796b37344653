"""Runs git: never with a shell, never with questions, never with what the caller's own git variables say.

What the machine's git is told in its configuration files (proxies, certificates, `insteadOf`) holds; nothing that is
asked here changes its answer with them but how a remote is reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from pierhead.kit import errors
from pierhead.wire.git import access as accesses
from pierhead.wire.git.access import NOBODY, Access

_KEPT = (
    *("PATH", "HOME", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"),
    *(
        "GIT_SSH_COMMAND",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ),
)
_ALWAYS = {
    "GIT_TERMINAL_PROMPT": "0",
    "SSH_ASKPASS_REQUIRE": "never",
    "LC_ALL": "C.UTF-8",
}
_CONFIG = (
    "safe.directory=*",
    "protocol.ext.allow=never",
    "credential.interactive=false",
    "gc.autoDetach=false",
    "log.showSignature=false",
    "i18n.logOutputEncoding=UTF-8",
)
_BUFFER_BYTES = 1 << 20

_NO_REPOSITORY = ("not a git repository", "does not appear to be a git repository")
_DENIED = ("Authentication failed", "could not read Username", "Permission denied", "access denied")
_UNKNOWN_HOST = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")
_NOT_FOUND = ("repository not found", "' not found", "The requested URL returned error: 404")
_UNREACHABLE = (
    "Could not resolve",
    "unable to access",
    "unable to connect",
    "Connection refused",
    "Connection timed out",
    "Could not read from remote",
)


async def run(folder: Path | None, *arguments: str, access: Access = NOBODY) -> bytes:
    """What git wrote. Raises: Invalid (no repository), NotFound (no such repository), Denied, Unavailable, Failed."""
    with accesses.lent(access) as (variables, settings):
        process = await _start(folder, arguments, stdin=asyncio.subprocess.DEVNULL, lent=(variables, settings))
        try:
            output, complaint = await process.communicate()
        except asyncio.CancelledError:
            await _ended(process)
            raise
    if process.returncode:
        raise refusal(complaint.decode(errors="replace").strip(), arguments[0])
    return output


@asynccontextmanager
async def reading(folder: Path, *arguments: str, input_: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """What git writes for `input_`, as it comes. All of it must be read; git has ended at the end."""
    with tempfile.TemporaryFile() as asked:
        asked.write(input_)
        asked.seek(0)
        process = await _start(folder, arguments, stdin=asked.fileno())
    assert process.stdout  # noqa: S101 - it was asked for
    try:
        yield process.stdout
    except BaseException:
        if process.returncode is None:
            process.kill()
        raise
    finally:
        await process.wait()


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What git sees of the caller's variables: how to reach the world, and nothing that changes what it says."""
    kept = {name: value for name, value in environ.items() if name.upper() in _KEPT}
    return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes", **kept, **_ALWAYS}


def refusal(complaint: str, command: str) -> errors.PierError:
    """What git complained of, as one of the families."""
    lines = [line.removeprefix("fatal: ").removeprefix("error: ") for line in complaint.splitlines() if line.strip()]
    told = next((line for line in lines if not line.startswith(("hint:", "warning:", "remote:"))), "no reason given")
    if any(mark in complaint for mark in _NO_REPOSITORY):
        return errors.Invalid(f"This is not a git repository: {told}", hint="`git init`, `git add -A`, `git commit`.")
    if any(mark in complaint for mark in _UNKNOWN_HOST):
        return errors.Denied(
            "The git server does not show the host key that is known of it.",
            hint="`ssh-keyscan HOST` shows its keys; compare them with those that the server's owner publishes, and "
            "give them to `pier git hosts APP`.",
        )
    if any(mark in complaint for mark in _DENIED):
        return errors.Denied(
            f"git is not let in: {told}",
            hint="`pier git key APP` makes a deploy key, `pier git login APP HOST` keeps a name and a token.",
        )
    if any(mark in complaint for mark in _NOT_FOUND):
        return errors.NotFound(f"There is no such repository: {told}")
    if any(mark in complaint for mark in _UNREACHABLE):
        return errors.Unavailable(f"git cannot reach it: {told}", hint="Check the address, and that this machine may.")
    return errors.Failed(f"git {command} failed: {told}")


async def _ended(process: asyncio.subprocess.Process) -> None:
    """It and what it had started (ssh, a pack being indexed) are gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _start(
    folder: Path | None,
    arguments: tuple[str, ...],
    *,
    stdin: int,
    lent: tuple[Mapping[str, str], tuple[str, ...]] = ({}, ()),
) -> asyncio.subprocess.Process:
    variables, settings = lent
    command = ["git"]
    for setting in (*_CONFIG, *settings):
        command += ["-c", setting]
    if folder:
        command += ["-C", str(folder)]
    return await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if stdin == asyncio.subprocess.DEVNULL else asyncio.subprocess.DEVNULL,
        env={**environment(os.environ), **variables},
        start_new_session=True,
        limit=_BUFFER_BYTES,
    )
