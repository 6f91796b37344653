"""Where one Pierhead keeps what it runs: records, locks, logs and its status, all below the data folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pierhead.kit import errors, process
from pierhead.kit.process import Process
from pierhead.settings import Settings

SOLO = "pier"
"""The name of the one-machine process in the run folder and of its log."""


def run_folder(home: Path) -> Path:
    return home / "run"


def gateway_folder(home: Path) -> Path:
    """Where the gateway keeps its files; it has a run folder of its own there, as on a machine of its own."""
    return home / "gateway"


def agent_folder(home: Path) -> Path:
    """Where the agent keeps what it knows."""
    return home / "agent"


def certificate_key(settings: Settings) -> Path:
    """The file with the key that certificates are sealed with."""
    return Path(settings.gateway.certificate_key or settings.home / "gateway.key")


def running(home: Path) -> list[Process]:
    """Every program that was started for this data folder and is alive."""
    folders = (run_folder(home), gateway_folder(home) / "run")
    return [found for folder in folders for found in process.alive(folder)]


def log_file(home: Path, name: str) -> Path:
    return home / "log" / f"{name}.log"


def status_file(home: Path) -> Path:
    return run_folder(home) / "status.json"


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """No other process runs this data folder; the kernel ends that when this one dies, however it dies.

    Raises: Conflict (another one does), Denied (not the user's folder).
    """
    handle = _open(home)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise errors.Conflict(
                f"A Pierhead runs in {home} already.", hint="`pier status` shows it, `pier down` ends it."
            ) from error
        yield
    finally:
        os.close(handle)


def _open(home: Path) -> int:
    path = run_folder(home) / "lock"
    try:
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError as error:
        raise errors.Denied(
            f"The data folder {home} cannot be written by this user.", hint="Use root, or choose another with --home."
        ) from error
