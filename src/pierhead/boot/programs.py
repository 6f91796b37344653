"""The programs of the distribution that Pierhead runs, and the packages that hold them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pierhead.kit.errors import Problem
from pierhead.settings import Settings

PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "busybox": "busybox-static",
        "docker-registry": "docker-registry",
        "dockerd": "docker.io",
        "git": "git",
        "haproxy": "haproxy",
        "iptables": "iptables",
    }
)
"""Program → Debian package."""

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where daemons are; a login of root by plain `su` does not look there."""


def search_path(path: str) -> str:
    """`path` (of the variable PATH) with the folders of daemons at its end."""
    present = path.split(os.pathsep)
    return os.pathsep.join([*present, *(folder for folder in SYSTEM_FOLDERS if folder not in present)])


def needed(settings: Settings, *, engine_runs: bool) -> dict[str, str]:
    """Program → what it is for, for a Pierhead with these settings."""
    found = {
        settings.gateway.haproxy: "carries every request to the apps",
        "git": "reads the commits that are built",
        "busybox": "gives containers their environment and a shell",
    }
    if not settings.registry.address:
        found["docker-registry"] = "holds the images"
    if not engine_runs and settings.engine.start == "auto":
        found |= {"dockerd": "runs the containers", "iptables": "publishes their ports"}
    return found


def missing(programs: Mapping[str, str]) -> Iterator[Problem]:
    """Every program that is not installed, with the package that holds it."""
    for program, purpose in programs.items():
        if shutil.which(program) is None:
            package = PACKAGES.get(program)
            hint = f"apt-get install {package}" if package else ""
            yield Problem(program, f"is not installed; it {purpose}", hint)
