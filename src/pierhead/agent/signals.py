"""Signals by name or number, as images and people write them. Pure."""

from __future__ import annotations

import signal

CONTINUE = int(signal.SIGCONT)
"""The engine's stop signal for Pierhead's own containers: it does nothing, and says that a stop was asked for."""
KILL = int(signal.SIGKILL)
_DEFAULT = int(signal.SIGTERM)


def number(text: str) -> int:
    """Of `SIGQUIT`, `quit` or `3`; SIGTERM's for an empty or unknown one."""
    if text.isdecimal():
        return int(text)
    name = "SIG" + text.upper().removeprefix("SIG")
    known = signal.Signals.__members__.get(name)
    return int(known) if known else _DEFAULT


def real(label: str, image: str) -> str:
    """The signal that ends the app: the label's, or else its image's, never the harmless one."""
    for text in (label, image):
        if text and number(text) != CONTINUE:
            return text
    return "SIGTERM"
