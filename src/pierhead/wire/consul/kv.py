"""The key-value store. Source: Consul HTTP API, KV Store."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from pierhead.kit import errors
from pierhead.wire.consul.client import Answer, Consul


@dataclass(frozen=True, slots=True)
class Pair:
    key: str
    value: bytes
    flags: int = 0
    create_index: int = 0
    modify_index: int = 0
    """What `put(cas=…)` compares with."""
    lock_index: int = 0
    session: str = ""
    """The session that holds the key; empty: nobody."""


async def get(client: Consul, key: str, *, index: int = 0, wait: timedelta | None = None) -> tuple[Pair | None, int]:
    """The pair, or None. An absent key can be waited on too, with the index that is returned, at least 1."""
    pairs, following = await _read(client, key, {}, index, wait)
    return (pairs[0] if pairs else None), following


async def get_tree(
    client: Consul, prefix: str, *, index: int = 0, wait: timedelta | None = None
) -> tuple[tuple[Pair, ...], int]:
    """Every pair whose key begins with `prefix`, in the order of their keys."""
    return await _read(client, prefix, {"recurse": "true"}, index, wait)


async def keys(client: Consul, prefix: str, *, separator: str = "") -> tuple[str, ...]:
    """The keys that begin with `prefix`, each cut behind the first `separator` after it."""
    params = {"keys": "true", **({"separator": separator} if separator else {})}
    try:
        answer = await client.get(_path(prefix), params)
    except errors.NotFound:
        return ()
    return tuple(answer.json() or ())


async def put(
    client: Consul,
    key: str,
    value: bytes,
    *,
    cas: int | None = None,
    flags: int = 0,
    acquire: str = "",
    release: str = "",
) -> bool:
    """True when the key has `value` now. False when the condition did not hold and nothing changed: `cas` is the
    `modify_index` the key must have (0: it must not exist), `acquire` and `release` are sessions.

    Raises: Invalid above 512 KiB.
    """
    conditions = {"cas": "" if cas is None else str(cas), "acquire": acquire, "release": release}
    params = {name: text for name, text in conditions.items() if text} | ({"flags": str(flags)} if flags else {})
    return _accepted(await client.put(_path(key), value, params))


async def delete(client: Consul, key: str, *, recurse: bool = False, cas: int | None = None) -> bool:
    """True when the key (with `recurse`: every key that begins with it) is gone, also when it was not there."""
    params = {**({"recurse": "true"} if recurse else {}), **({"cas": str(cas)} if cas is not None else {})}
    return _accepted(await client.delete(_path(key), params))


async def _read(
    client: Consul, key: str, params: Mapping[str, str], index: int, wait: timedelta | None
) -> tuple[tuple[Pair, ...], int]:
    answer = await client.get(_path(key), dict(params), index=index, wait=wait, absent=True)
    values = answer.json() if answer.status == 200 else []
    return tuple(_pair(value) for value in values), answer.index


def _pair(value: Mapping[str, Any]) -> Pair:
    return Pair(
        key=value["Key"],
        value=base64.b64decode(value["Value"] or ""),
        flags=value["Flags"],
        create_index=value["CreateIndex"],
        modify_index=value["ModifyIndex"],
        lock_index=value["LockIndex"],
        session=value.get("Session") or "",
    )


def _accepted(answer: Answer) -> bool:
    return answer.text.strip() == "true"


def _path(key: str) -> str:
    return f"/v1/kv/{quote(key, safe='/')}"
