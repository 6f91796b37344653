"""What must be true before anything is started, so that a start that cannot work changes nothing."""

from __future__ import annotations

import os
import socket

from pierhead.boot import home, ports, programs
from pierhead.kit import errors
from pierhead.settings import Settings


def check(settings: Settings) -> None:
    """This machine can run a Pierhead with these settings.

    Raises: Denied (not root), Conflict (a port is taken), NotFound (a program is missing): each with all it found.
    """
    if os.geteuid() != 0:
        raise errors.Denied("Pierhead must be started by root.", hint="It runs containers: try `sudo pier up`.")
    os.environ["PATH"] = programs.search_path(os.environ.get("PATH", os.defpath))
    absent = list(programs.missing(programs.needed(settings, engine_runs=engine_answers(settings.engine.socket))))
    if absent:
        raise errors.NotFound(
            "Programs are missing on this machine.", problems=absent, hint="`make setup` installs what Pierhead needs."
        )
    ours = [running.pid for running in home.running(settings.home)]
    taken = list(ports.problems(settings, ours))
    if taken:
        raise errors.Conflict("Pierhead cannot listen on all of its ports.", problems=taken)


def engine_answers(address: str) -> bool:
    """Somebody listens on the engine's socket. An address that is no socket of this machine counts as answering."""
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        tried.settimeout(2)
        try:
            tried.connect(address.removeprefix("unix://"))
        except OSError:
            return False
    return True
