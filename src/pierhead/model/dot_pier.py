"""How a container learns where it is reached: the read-only folder `/.pier`, and the entrypoint in it. Pure.

The node's agent keeps the folder on its machine: a static busybox, `init`, and one file per running container with its
host ports, which nobody knows before it has started. `init` waits for the file, puts it into the environment, and
becomes the image's own command: same process, same user, same arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

TARGET = "/.pier"
"""Where the folder is in every container."""
INIT = f"{TARGET}/init"
BUSYBOX = f"{TARGET}/busybox"
FOLDER = "dot_pier"
"""Its name in the data folder of the node's agent."""
REQUIRED = "PIER_PORTS_REQUIRED"
"""Set to anything: the app does not start without its ports."""
WAIT = "PIER_WAIT_SECONDS"
"""How long `init` waits for them; 5 by default."""
SECRETS = "PIER_SECRET_VARIABLES"
"""Which variables `init` reads from which secrets: `NAME=secret NAME=secret`. Never a value."""
_ABSENT = "bind source path does not exist"
_NO_AGENT = "its node has no"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def arguments(command: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """What `INIT` is given so that it becomes `command`: the image's entrypoint and command, or what replaces them.

    `env` is the whole environment, the image's included: variables whose names a shell cannot hold (`a.b`) would be
    lost on the way, so they go with the arguments.
    """
    odd = [f"{name}={value}" for name, value in env.items() if not _PLAIN.fullmatch(name)]
    return [str(len(odd)), *odd, *command]


def secret_variables(wanted: Mapping[str, str]) -> dict[str, str]:
    """What tells `INIT` to make these secrets variables of the app."""
    return {SECRETS: " ".join(f"{name}={secret}" for name, secret in wanted.items())} if wanted else {}


def waiting(alone: timedelta) -> list[str]:
    """A command that does nothing, and ends when nothing else has run in its container for so long.

    Beside itself there is only the engine's own first process.
    """
    step = 5
    script = (
        f"left={round(alone.total_seconds() / step)}; full=$left; "
        f"while [ $left -gt 0 ]; do {BUSYBOX} sleep {step}; set -- /proc/[0-9]*; "
        "if [ $# -le 2 ]; then left=$((left - 1)); else left=$full; fi; done"
    )
    return [BUSYBOX, "sh", "-c", script]


def explained(error: str, folder: Path) -> str:
    """What an engine said of a task, in plain words where its node has no such folder: no agent has been there."""
    if _ABSENT not in error or str(folder) not in error:
        return error
    return f"{_NO_AGENT} {folder}, which its agent makes: start `pier agent` there, with --mount {folder}"


def lacks_agent(explained: str) -> bool:
    """It is what `explained` says of a node without an agent: nothing is wrong with what should have run there."""
    return explained.startswith(_NO_AGENT)
