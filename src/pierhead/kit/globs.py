"""Patterns for names with `/`: `*` and `?` stay within one part, `**` goes through all of them."""

from __future__ import annotations

import functools
import re

_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|\[\^?[^]]+\]|\\.|.", re.DOTALL)


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str, *, below: bool = False) -> re.Pattern[str]:
    """For `fullmatch`; with `below` everything below what the pattern matches is matched too. Raises: re.error."""
    expression = "".join(map(_token, _TOKENS.findall(pattern)))
    return re.compile(expression + ("(?:/.*)?" if below else ""), re.DOTALL)


def _token(token: str) -> str:
    if token == "**/":  # noqa: S105 - a pattern, not a password
        return "(?:.*/)?"
    if token.startswith("[") and token.endswith("]") and len(token) > 2:
        return token
    if token.startswith("\\") and len(token) > 1:
        return re.escape(token[1])
    return {"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token) or re.escape(token)
