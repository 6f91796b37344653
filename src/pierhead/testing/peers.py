"""Programs of others, from their packages on PyPI, that tests and measurements set ours beside.

They are the dependency group `peers`. Nothing is fetched here: a test must not wait for a network.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pierhead.kit import errors

SETUP = "scripts/setup --tests"


def program(name: str) -> Path:
    """Where the program is: in this Python environment, or on PATH. Raises: Unavailable."""
    own = Path(sys.prefix) / "bin" / name
    found = str(own) if own.exists() else shutil.which(name)
    if not found:
        raise errors.Unavailable(
            f"The program `{name}` is neither in the Python environment {sys.prefix} nor on PATH.",
            hint=f"Run `{SETUP}`: it installs the dependency group `peers`.",
        )
    return Path(found)
