"""The key-value store. Source: Consul HTTP API, KV Store."""

from __future__ import annotations

import base64

from pierhead.catalog import locks, render, reply
from pierhead.catalog.endpoints import context as endpoint
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.records import Pair
from pierhead.catalog.reply import Outcome, Rejected, Reply, Watch
from pierhead.catalog.request import Request
from pierhead.catalog.tokens import denied

VALUE_LIMIT = 512 * 1024

_RAW_HEADERS = (("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "sandbox"))


def read(context: Context, request: Request, tail: str) -> Outcome:
    if request.has("keys"):
        return _keys(context, request, tail)
    if request.has("recurse"):
        return _tree(context, tail)
    key = endpoint.required(tail, "key name")
    context.access.require_read("key", key)
    return _one(context, request, key)


def write(context: Context, request: Request, tail: str) -> Outcome:
    key = endpoint.required(tail, "key name")
    _refuse_together(request, ("cas", "acquire", "release"))
    if len(request.body) > VALUE_LIMIT:
        raise too_large(len(request.body))
    context.access.require_write("key", key)
    flags = request.number("flags") if request.has("flags") else 0
    value = base64.b64encode(request.body).decode()
    return reply.of(_put(context, request, key, value, flags) is not None)


def delete(context: Context, request: Request, tail: str) -> Outcome:
    _refuse_together(request, ("cas", "recurse"))
    if request.has("recurse"):
        if not context.access.writes_all("key", tail):
            raise denied()
        locks.delete_tree(context.state, tail)
        return reply.of(True)
    key = endpoint.required(tail, "key name")
    context.access.require_write("key", key)
    if request.has("cas"):
        return reply.of(locks.delete_if(context.state, key, request.number("cas")))
    if pair := context.state.pair(key):
        context.state.drop(pair)
    return reply.of(True)


def too_large(size: int, setting: str = "kv_max_value_size") -> Rejected:
    """The refusal of a value above the limit."""
    return Rejected(
        413,
        f"Request body({size} bytes) too large, max size: {VALUE_LIMIT} bytes. "
        f"See https://www.consul.io/docs/agent/options.html#{setting}.",
    )


def is_session_id(session: str) -> None:
    """Nothing, for something that looks like a session id. Raises: Rejected 500, as Consul does."""
    if len(session) != 36:
        raise Rejected(400, "failed session lookup: index error: UUID must be 36 characters")


def is_held_back(context: Context, key: str) -> bool:
    """The key's last session was destroyed less than its lock delay ago: nobody gets the lock."""
    return context.upkeep.locked_until.get(key, 0.0) > context.now


def _put(context: Context, request: Request, key: str, value: str, flags: int) -> Pair | None:
    state = context.state
    if request.has("cas"):
        return locks.put_if(state, key, value, flags, request.number("cas"))
    session = request.get("acquire") or request.get("release")
    if not session:
        return locks.put(state, key, value, flags)
    is_session_id(session)
    if request.get("release"):
        return locks.release(state, key, value, flags, session)
    if state.session(session) is None:
        raise Rejected(404, f'invalid session "{session}"')
    if is_held_back(context, key):
        return None
    return locks.acquire(state, key, value, flags, session)


def _one(context: Context, request: Request, key: str) -> Watch:
    pair = context.state.pair(key)
    index = pair.modify if pair else _absent(context)
    is_raw = request.has("raw")
    return Watch(index, (f"key:{key}",), lambda: _answer([pair] if pair else [], is_raw=is_raw), is_cached=True)


def _tree(context: Context, prefix: str) -> Watch:
    pairs = [pair for key in visible(context, prefix) if (pair := context.state.pair(key))]
    return Watch(_newest(context, pairs), (f"tree:{prefix}",), lambda: _answer(pairs, is_raw=False))


def _keys(context: Context, request: Request, prefix: str) -> Watch:
    names = visible(context, prefix)
    pairs = [pair for key in names if (pair := context.state.pair(key))]
    separator = request.get("separator")

    def render_names() -> Reply:
        cut = list(dict.fromkeys(_cut(name, len(prefix), separator) for name in names))
        return reply.of(cut) if cut else Reply(404)

    return Watch(_newest(context, pairs), (f"tree:{prefix}",), render_names)


def visible(context: Context, prefix: str) -> list[str]:
    """The keys that begin with `prefix`, without those that the request's token may not read."""
    names = context.state.keys(prefix)
    return names if context.access.is_root else [name for name in names if context.access.reads("key", name)]


def _cut(name: str, start: int, separator: str) -> str:
    end = name.find(separator, start) if separator else -1
    return name if end < 0 else name[: end + len(separator)]


def _answer(pairs: list[Pair], *, is_raw: bool) -> Reply:
    if not pairs:
        return Reply(404)
    if is_raw:
        return Reply(200, base64.b64decode(pairs[0].value), "text/plain", _RAW_HEADERS)
    return reply.of([render.pair(pair) for pair in pairs])


def _newest(context: Context, pairs: list[Pair]) -> int:
    return max(_absent(context), *(pair.modify for pair in pairs)) if pairs else _absent(context)


def _absent(context: Context) -> int:
    return context.state.keys_deleted


def _refuse_together(request: Request, names: tuple[str, ...]) -> None:
    given = [name for name in sorted(names) if request.has(name)]
    if len(given) > 1:
        pairs = "&".join(f"{name}={request.get(name)}" for name in given)
        raise Rejected(400, f"Conflicting flags: {pairs}")
