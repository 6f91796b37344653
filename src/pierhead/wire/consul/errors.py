"""An answer of the catalog that is not 2xx, as one of the families of `kit.errors`."""

from __future__ import annotations

from pierhead.kit import errors

_FAMILIES: dict[int, type[errors.PierError]] = {
    400: errors.Invalid,
    401: errors.Denied,
    403: errors.Denied,
    404: errors.NotFound,
    405: errors.Invalid,
    409: errors.Conflict,
    413: errors.Invalid,
    414: errors.Invalid,
    415: errors.Invalid,
}

_UNKNOWN_IN_1_8 = ("does not have associated TTL", "Unknown service", "does not exist", "No such node")
_INVALID_IN_1_8 = ("strconv.Parse", "boolean expression", "UUID must be", "Invalid Session", "Must provide")
"""Texts of a 500 by which Consul before 1.12 says what newer versions say with 404 or 400."""

_HINTS: dict[type[errors.PierError], str] = {
    errors.Denied: "Check the setting catalog.token.",
    errors.Unavailable: "Check that the catalog runs at the setting catalog.url and has a leader.",
}


def check(status: int, text: str, request: str) -> None:
    """Nothing for 2xx; else the error that `status` and `text` mean. `request` is `PUT /v1/…`.

    Raises: Invalid, Denied, NotFound, Conflict (4xx); Unavailable (5xx).
    """
    if 200 <= status < 300:
        return
    raise _error(status, text, request)


def _error(status: int, text: str, request: str) -> errors.PierError:
    family = _FAMILIES.get(status, errors.Invalid if 400 <= status < 500 else errors.Unavailable)
    if status == 500 and any(known in text for known in _UNKNOWN_IN_1_8):
        family = errors.NotFound
    elif status == 500 and any(known in text for known in _INVALID_IN_1_8):
        family = errors.Invalid
    reason = text.strip()[:500] or "no reason given"
    return family(f"The catalog answered {request} with {status}: {reason}", hint=_HINTS.get(family, ""))
