"""With what git is let in: a deploy key, the hosts that it may believe, a name and a password or token.

They are in files that only this process's user can read, for as long as one git runs; never among its arguments.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_SSH = (
    *("ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"),
    *("-o", "ServerAliveInterval=15", "-o", "StrictHostKeyChecking=yes"),
)
_HELPER = '!f() { test "$1" = get && cat "$PIER_GIT_LOGIN"; }; f'
"""Tells git what is in a file. It is only asked for the one host that it is configured for."""


@dataclass(frozen=True, slots=True)
class Login:
    """At a git server that is reached by HTTPS."""

    host: str
    """`git.example.com` or `git.example.com:8443`: no other host is told the password."""
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    private_key: str = field(default="", repr=False)
    """In OpenSSH's format; empty: what the machine's own ssh would use."""
    known_hosts: str = ""
    """Lines as in `known_hosts`; empty: what the machine knows."""
    login: Login | None = None


NOBODY = Access()
"""Nothing but what the machine's own git has."""


@contextmanager
def lent(access: Access) -> Iterator[tuple[Mapping[str, str], tuple[str, ...]]]:
    """Variables and settings for one git; what they name is gone at the end."""
    if access == NOBODY:
        yield {}, ()
        return
    with tempfile.TemporaryDirectory(prefix="pier-git-") as name:
        folder = Path(name)  # only its owner may look into it
        env = _ssh(folder, access) if access.private_key or access.known_hosts else {}
        settings: tuple[str, ...] = ()
        if access.login:
            file = _written(folder / "login", f"username={access.login.username}\npassword={access.login.password}\n")
            env["PIER_GIT_LOGIN"] = str(file)
            settings = ("credential.helper=", f"credential.https://{access.login.host}.helper={_HELPER}")
        yield env, settings


def _ssh(folder: Path, access: Access) -> dict[str, str]:
    command = [*_SSH]
    if access.private_key:
        command += ["-o", "IdentitiesOnly=yes", "-i", str(_written(folder / "key", access.private_key))]
    if access.known_hosts:
        known = _written(folder / "known_hosts", access.known_hosts)
        command += ["-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null"]
    return {"GIT_SSH_COMMAND": shlex.join(command)}


def _written(path: Path, text: str) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return path
