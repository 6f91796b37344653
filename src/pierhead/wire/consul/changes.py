"""What changed in the catalog, and what it is now, the cheap way and the standard way."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pierhead.kit import errors
from pierhead.wire.consul import records
from pierhead.wire.consul.client import Consul

_SERVICE = re.compile(rb'"ServiceName":\s?"((?:[^"\\]|\\.)*)"')
_NODE = re.compile(rb'"Node":\s?"(?:[^"\\]|\\.)*"')
_BETWEEN = b"},{"
_BLOCK = 1 << 16
Marks = dict[str, set[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Changes:
    services: frozenset[str]
    """In lower case."""
    is_complete: bool
    """False: any other service may have changed too."""
    index: int


async def since(client: Consul, index: int, *, wait: timedelta | None = None) -> Changes | None:
    """The services that changed since `index`, once one did. None: this catalog cannot say, as a real Consul.

    Raises: Unavailable and its kin.
    """
    answer = await client.get("/v1/pierhead/changes", index=index, wait=wait, absent=True)
    if answer.status == 404:
        return None
    value = answer.json()
    names = frozenset(name.lower() for name in value["Services"])
    return Changes(names, bool(value["Complete"]) and bool(index), answer.index)


async def now(client: Consul, services: Sequence[str]) -> tuple[Mapping[str, tuple[records.Entry, ...]], int] | None:
    """Each service with its instances as `health.service` has them. None: this catalog cannot say, as a real Consul.

    Raises: Unavailable and its kin.
    """
    answer = await client.get("/v1/pierhead/services", {"name": list(services)}, absent=True)
    if answer.status == 404:
        return None
    told = answer.json()
    return {name: tuple(map(records.read_entry, told[name])) for name in services}, answer.index


async def checks(client: Consul, index: int, *, wait: timedelta | None = None) -> tuple[bytes, int]:
    """Every check as it comes, for `between`, once one of them changed: to be compared is cheaper than to be read."""
    answer = await client.get("/v1/health/state/any", index=index, wait=wait)
    return answer.body, answer.index


def between(before: bytes, now: bytes) -> frozenset[str]:
    """The services, in lower case, whose checks differ in two answers of `checks`; a node's check concerns all on it.

    Pure. Only what lies between the first and the last difference is taken apart, and only what differs is read.
    """
    if before == now:
        return frozenset()
    old, new = map(_parts, _trimmed(before, now))
    found: set[str] = set()
    nodes: set[bytes] = set()
    for part in old ^ new:
        names, on = _SERVICE.findall(part), _NODE.findall(part)
        if len(names) != 1 or len(on) != 1:
            return _read_between(before, now)
        found.add(_text(names[0]))
        if not names[0]:
            nodes.add(on[0])
    concerned = (name for part in (_parts(now) if nodes else ()) for name in _named(part, nodes))
    return frozenset(name.lower() for name in {*found, *concerned} if name)


def _trimmed(before: bytes, now: bytes) -> tuple[bytes, bytes]:
    """Both without the checks that they begin with and end with alike."""
    same = _common_start(before, now)
    start = max(0, before.rfind(_BETWEEN, 0, same))
    before, now = before[start:], now[start:]
    same = _common_end(before, now)
    end = before.find(_BETWEEN, len(before) - same)
    left = len(before) - end if end >= 0 else 0
    return before[: len(before) - left], now[: len(now) - left]


def _common_start(one: bytes, other: bytes) -> int:
    """How many bytes they begin with alike: by blocks first, because long slices are slow to make."""
    low, limit = 0, min(len(one), len(other))
    while low < limit and one[low : low + _BLOCK] == other[low : low + _BLOCK]:
        low += _BLOCK
    high = min(limit, low + _BLOCK)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return min(low, limit)


def _common_end(one: bytes, other: bytes) -> int:
    low, limit = 0, min(len(one), len(other))
    while low < limit and _before(one, low, low + _BLOCK) == _before(other, low, low + _BLOCK):
        low += _BLOCK
    high = min(limit, low + _BLOCK)
    while low < high:
        middle = (low + high + 1) // 2
        is_alike = _before(one, low, middle) == _before(other, low, middle)
        low, high = (middle, high) if is_alike else (low, middle - 1)
    return min(low, limit)


def _before(text: bytes, low: int, high: int) -> bytes:
    """What lies between `low` and `high` bytes before the end."""
    return text[max(0, len(text) - high) : len(text) - low]


def _parts(body: bytes) -> set[bytes]:
    return set(body.strip().removeprefix(b"[").removesuffix(b"]").split(_BETWEEN))


def _named(part: bytes, nodes: set[bytes]) -> Iterator[str]:
    on, name = _NODE.search(part), _SERVICE.search(part)
    if on and name and on[0] in nodes:
        yield _text(name[1])


def _text(raw: bytes) -> str:
    return str(json.loads(b'"' + raw + b'"'))


def _read_between(before: bytes, now: bytes) -> frozenset[str]:
    """The slow way, for answers that are not written as Consul's servers write them."""
    old, new = _marks(before), _marks(now)
    differing = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    if "" in differing:
        return frozenset(name.lower() for name in old.keys() | new.keys() if name)
    return frozenset(name.lower() for name in differing)


def _marks(body: bytes) -> Marks:
    found: Marks = defaultdict(set)
    for check in _checks(body):
        found[check.service].add((check.node, check.service_id, check.id, check.status, str(check.modify_index)))
    return found


def _checks(body: bytes) -> Iterable[records.Check]:
    try:
        return [records.read_check(value) for value in json.loads(body or b"[]")]
    except ValueError as error:
        raise errors.Unavailable(f"The catalog answered with something else than JSON: {body[:80]!r}") from error
