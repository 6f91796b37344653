"""Regular expressions from requests: none of them takes longer than its text is long. Pure."""

from __future__ import annotations

from collections.abc import Callable

import re2

_QUIET = re2.Options()
_QUIET.log_errors = False


def search(pattern: str) -> Callable[[str], bool]:
    """Whether a text has something that fits the pattern. Raises: ValueError with the reason."""
    try:
        compiled = re2.compile(pattern, _QUIET)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
    return lambda text: compiled.search(text) is not None
