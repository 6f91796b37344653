"""Which endpoint sits in which of a pool's servers, and with what weight. Pure.

A slot is a server that is declared in HAProxy's file once and filled while it runs. Who has a slot keeps it, so that a
change touches only what changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import gcd, lcm

from pierhead.model.route import REST

Key = tuple[str, int]
"""Address and port: what makes two servers the same server."""

LEAST = 8
"""Slots that a new pool has."""
HEAVIEST = 256
DEFAULT_WEIGHT = 100
"""Of a release that a route gives no weight."""


def address(key: Key) -> str:
    """As HAProxy shows it."""
    host, port = key
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def size(current: int, needed: int) -> int:
    """The slots that a pool has from now on: `current`, doubled until `needed` fit. Never fewer than it has."""
    found = max(current, LEAST)
    while found < needed:
        found *= 2
    return found


def assign(held: Sequence[Key | None], wanted: Iterable[Key]) -> tuple[Key | None, ...]:
    """Each of `wanted` in one slot: where it is already, or else in a free one, last freed last, and one that somebody
    leaves now only where there is no other: until it is somebody else's nobody is in it.

    There are as many slots as `size` says.
    """
    order = list(dict.fromkeys(wanted))
    kept: list[Key | None] = _without_repeats([key if key in order else None for key in held])
    kept += [None] * (size(len(held), len(order)) - len(held))
    seated = set(kept)
    free = _free(kept, {index for index, key in enumerate(held) if key and not kept[index]})
    for key in order:
        if key not in seated:
            kept[next(free)] = key
    return tuple(kept)


def scatter(wanted: Iterable[Key]) -> tuple[Key | None, ...]:
    """Each of `wanted` in a slot that follows from nothing but who else is wanted, so it is the same on every gateway.

    For consistent hashing, where a server's number decides which requests it gets. Half of the slots stay empty.
    """
    order = sorted(set(wanted), key=_digest)
    found: list[Key | None] = [None] * size(0, 2 * len(order))
    for key in order:
        place = _digest(key) % len(found)
        while found[place]:
            place = (place + 1) % len(found)
        found[place] = key
    return tuple(found)


def _digest(key: Key) -> int:
    return int.from_bytes(hashlib.sha256(f"{key[0]} {key[1]}".encode()).digest()[:8])


def weights(servers: Sequence[tuple[str, int]], declared: Mapping[str, int]) -> list[int]:
    """The weight of each ready server, given its release and the weight of its own.

    Without declared weights it is its own. With them a release's weight is divided over its servers by their own:
    exactly where whole numbers up to 256 can say it, or else as nearly as they can. A server that is to get anything
    never gets 0.
    """
    if not declared:
        return [own for _, own in servers]
    sides = [(release if release in declared or REST not in declared else REST, own) for release, own in servers]
    total: dict[str, int] = {}
    for side, own in sides:
        total[side] = total.get(side, 0) + own
    shares = [
        Fraction(declared.get(side, DEFAULT_WEIGHT) * own, total[side]) if own else Fraction(0) for side, own in sides
    ]
    return _whole(shares)


def _whole(shares: Sequence[Fraction]) -> list[int]:
    """The shares as whole numbers up to 256 that divide requests as they do."""
    scale = lcm(*(share.denominator for share in shares))
    found = [int(share * scale) for share in shares]
    divisor = gcd(*found) or 1
    top = max(found, default=0) // divisor
    if top <= HEAVIEST:
        factor = HEAVIEST // top if top else 1
        return [share // divisor * factor for share in found]
    return [max(1, round(share * HEAVIEST / divisor / top)) if share else 0 for share in found]


def _without_repeats(keys: Sequence[Key | None]) -> list[Key | None]:
    seen: set[Key] = set()
    found: list[Key | None] = []
    for key in keys:
        found.append(None if key in seen else key)
        if key:
            seen.add(key)
    return found


def _free(kept: Sequence[Key | None], left: set[int]) -> Iterator[int]:
    last = max((index for index, key in enumerate(kept) if key), default=-1)
    return iter(sorted((i for i, key in enumerate(kept) if key is None), key=lambda i: (i in left, i <= last, i)))
