"""No secret is shown: whatever instances and builds write is looked through before anybody sees it.

Found is a value as it is, line by line, and as programs write it into other formats: JSON, Python's repr, URL, XML,
hexadecimal, and base64 also in the middle of what is encoded. Not found are values of less than `SHORTEST` characters,
and what a program made of a value in any other way (a hash, a cipher, the two halves on two lines).
"""

from __future__ import annotations

import base64
import contextlib
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from pierhead.control.context import Context
from pierhead.kit import errors
from pierhead.store import secrets
from pierhead.store.secrets import Secret

SHORTEST = 6
"""Characters: a shorter value would be found in what has nothing to do with it."""
_FEW = 300
"""Values: more are not looked for one by one, but at each place of the text by how they begin."""


@dataclass(frozen=True, slots=True)
class Redactor:
    by_begin: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """The first characters → the values that begin so, the longest first, each with what is shown instead."""

    values: Sequence[str] = ()
    """The same values, of few of which none is in most texts."""

    def text(self, text: str) -> str:
        if len(self.values) <= _FEW and not any(value in text for value in self.values):
            return text
        found, place, begin = [], 0, 0
        while place <= len(text) - SHORTEST:
            for value, shown in self.by_begin.get(text[place : place + SHORTEST], ()):
                if text.startswith(value, place):
                    found += [text[begin:place], shown]
                    place = begin = place + len(value)
                    break
            else:
                place += 1
        return "".join([*found, text[begin:]])

    def document(self, value: Any) -> Any:
        """The same for every text of a JSON document, its keys aside."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.document(item) for key, item in value.items()}
        return [self.document(item) for item in value] if isinstance(value, list | tuple) else value


def redactor(values: Iterable[tuple[str, bytes]]) -> Redactor:
    """For secrets by name. Of a value with several lines each line is one too, because logs come by lines. Pure."""
    shown: dict[str, str] = {}
    for name, value in values:
        text = value.decode(errors="replace")
        for part in (text.strip(), *(line.strip() for line in text.splitlines())):
            if len(part) >= SHORTEST:
                shown |= {form: f"[secret {name}]" for form in _forms(part) if len(form) >= SHORTEST}
    by_begin: dict[str, list[tuple[str, str]]] = {}
    for form in sorted(shown, key=len, reverse=True):
        by_begin.setdefault(form[:SHORTEST], []).append((form, shown[form]))
    return Redactor(by_begin, tuple(shown))


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


def _forms(text: str) -> Iterator[str]:
    """The text, and how programs write it into other formats."""
    yield text
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
    yield from (quote(text), quote(text, safe=""), quote_plus(text))
    yield from (html.escape(text), html.escape(text, quote=False))
    value = text.encode()
    yield from (value.hex(), value.hex().upper())
    for before in range(3):
        encoded = _base64(value, before)
        yield from (encoded, encoded.translate(_URL_SAFE))


_URL_SAFE = str.maketrans("+/", "-_")


def _base64(value: bytes, before: int) -> str:
    """The characters that say nothing but the value when that many other bytes stand before it."""
    encoded = base64.b64encode(bytes(before) + value).decode()
    return encoded[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]
