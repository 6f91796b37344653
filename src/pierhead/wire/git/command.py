"""Runs git: never with a shell, never with questions, never with what the machine's own git is told."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pierhead.kit import errors

_KEPT = ("PATH", "HOME", "SSL_CERT_FILE", "GIT_SSL_CAINFO", "https_proxy", "http_proxy", "no_proxy", "SSH_AUTH_SOCK")
_UNREACHABLE = ("Could not resolve", "unable to access", "Connection refused", "Could not read from remote")


async def run(folder: Path | None, *arguments: str, input_: bytes = b"") -> bytes:
    """What git wrote. Raises: Invalid (no repository), NotFound (no such ref or file), Unavailable, Failed."""
    command = ["git", "-c", "safe.directory=*", "-c", "protocol.ext.allow=never"]
    if folder:
        command += ["-C", str(folder)]
    process = await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
    )
    try:
        output, complaint = await process.communicate(input_)
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise _error(complaint.decode(errors="replace").strip(), arguments)
    return output


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}


def _error(complaint: str, arguments: tuple[str, ...]) -> errors.PierError:
    last = complaint.splitlines()[-1].removeprefix("fatal: ") if complaint else "no reason given"
    if "not a git repository" in complaint or "does not appear to be a git repository" in complaint:
        return errors.Invalid(f"This is not a git repository: {last}", hint="`git init`, `git add -A`, `git commit`.")
    if any(mark in complaint for mark in _UNREACHABLE):
        return errors.Unavailable(f"git cannot reach it: {last}")
    return errors.Failed(f"git {arguments[0]} failed: {last}")
