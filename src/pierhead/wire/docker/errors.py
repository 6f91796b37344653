"""The engine's refusals as the families of `kit.errors`."""

from __future__ import annotations

import json

from pierhead.kit import errors

_FAMILIES = {400: errors.Invalid, 404: errors.NotFound, 406: errors.Conflict, 409: errors.Conflict}


def check(status: int, body: bytes, request: str) -> None:
    """Raises: Invalid, NotFound, Conflict as the engine says; Unavailable (no swarm, or an error of the engine's)."""
    if status < 400:
        return
    text = _message(body)
    if status == 503:
        raise errors.Unavailable(
            f"The engine is not ready for {request}: {text}", hint="`docker info` shows its state."
        )
    raise _FAMILIES.get(status, errors.Unavailable)(f"The engine refused {request}: {text}")


def _message(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
