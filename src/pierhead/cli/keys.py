"""How replacing a key is watched, for `pier secret` and `pier certificate`."""

from __future__ import annotations

import asyncio
from typing import Any

from pierhead.cli import console
from pierhead.client import Api
from pierhead.kit import errors

_LOOK_SECONDS = 0.2


async def rotated(api: Api, name: str, *, quiet: bool) -> dict[str, Any]:
    """A new key seals, nothing is sealed with the one before, and that is forgotten.

    Raises: Failed (some values could not be opened, and stayed as they are).
    """
    key = await api.post(f"/keys/{name}/rotation")
    told = -1
    while key["is_rotating"]:
        if key["left"] != told and not quiet:
            told = key["left"]
            console.note(f"{told} values to seal with the new key {key['id']}")
        await asyncio.sleep(_LOOK_SECONDS)
        key = await api.get(f"/keys/{name}")
    if key["unreadable"]:
        raise errors.Failed(
            f"The key is replaced, but {len(key['unreadable'])} values had been sealed with one that is lost.",
            problems=[errors.Problem(one, "no key opens it") for one in key["unreadable"]],
            hint="Set them again: what they were cannot be known any more.",
        )
    return dict(key)
