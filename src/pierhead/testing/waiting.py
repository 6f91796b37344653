"""Waiting for a condition, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], object], what: str = "", *, seconds: float = 60) -> None:
    """`holds` gave something true. Raises: AssertionError with `what`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what or holds}")
        time.sleep(0.1)
