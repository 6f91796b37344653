"""No secret is shown: whatever instances and builds write is looked through before anybody sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.store import secrets
from pierhead.store.secrets import Secret

SHORTEST = 6
"""Characters: a shorter value would be found in what has nothing to do with it."""


@dataclass(frozen=True, slots=True)
class Redactor:
    pairs: tuple[tuple[str, str], ...] = ()
    """Value → what is shown instead; longer values first, because one may be a part of another."""

    def text(self, text: str) -> str:
        for value, shown in self.pairs:
            text = text.replace(value, shown)
        return text


def redactor(values: Iterable[tuple[str, bytes]]) -> Redactor:
    """For secrets by name. Of a value with several lines each line is one too, because logs come by lines. Pure."""
    found = {}
    for name, value in values:
        text = value.decode(errors="replace")
        for part in (text.strip(), *(line.strip() for line in text.splitlines())):
            if len(part) >= SHORTEST:
                found[part] = f"[secret {name}]"
    return Redactor(tuple(sorted(found.items(), key=lambda pair: -len(pair[0]))))


async def of(ctx: Context, app: str, environment: str = "") -> Redactor:
    """For every version of every secret of an app, in one environment or in all."""
    async with ctx.store.read() as db:
        held = await secrets.every(db, app, environment)
    return redactor(_opened(ctx, held))


def _opened(ctx: Context, held: Iterable[Secret]) -> Iterator[tuple[str, bytes]]:
    """Those that can be: what nobody can open any more nobody is delivered, and it must not stop builds and logs."""
    for one in held:
        with contextlib.suppress(errors.Broken):
            yield one.name, ctx.keys.open(one.ciphertext)
