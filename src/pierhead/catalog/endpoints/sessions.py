"""Sessions. Source: Consul HTTP API, Sessions."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pierhead.catalog import decode, locks, registry, render, reply
from pierhead.catalog import request as requests
from pierhead.catalog.endpoints import context as endpoint
from pierhead.catalog.endpoints import kv, shapes
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.records import Session
from pierhead.catalog.reply import Outcome, Rejected
from pierhead.catalog.request import Request

_LEAST_TTL, _MOST_TTL = timedelta(seconds=10), timedelta(hours=24)
_DEFAULT_DELAY_NS = 15_000_000_000
_SECONDS_BELOW = 1000
"""A number below that is a lock delay in seconds, one above in nanoseconds."""


def create(context: Context, request: Request, tail: str) -> Outcome:
    body = decode.document(request.body, shapes.SESSION) if request.body.strip() else {}
    session = _session(context, body)
    context.access.require_write("session", session.node)
    context.state.put(session)
    return reply.of({"ID": session.id})


def destroy(context: Context, request: Request, tail: str) -> Outcome:
    kv.is_session_id(endpoint.required(tail, "session"))
    if session := context.state.session(tail):
        context.access.require_write("session", session.node)
        context.upkeep.end_session(session, context.now)
    return reply.of(True)


def renew(context: Context, request: Request, tail: str) -> Outcome:
    kv.is_session_id(endpoint.required(tail, "session"))
    session = context.state.session(tail)
    if session is None:
        raise Rejected(404, f"Session id '{tail}' not found")
    context.access.require_write("session", session.node)
    context.upkeep.renew(session, context.now)
    return reply.of([render.session(session)])


def info(context: Context, request: Request, tail: str) -> Outcome:
    kv.is_session_id(endpoint.required(tail, "session"))

    def value() -> list[Any]:
        session = context.state.session(tail)
        return [render.session(session)] if session and context.access.reads("session", session.node) else []

    return endpoint.watch(context, request, ("sessions",), value)


def sessions(context: Context, request: Request, tail: str) -> Outcome:
    return endpoint.watch(context, request, ("sessions",), lambda: [render.session(row) for row in _visible(context)])


def node(context: Context, request: Request, tail: str) -> Outcome:
    name = endpoint.required(tail, "node name").lower()

    def value() -> list[Any]:
        return [render.session(row) for row in _visible(context) if row.node.lower() == name]

    return endpoint.watch(context, request, ("sessions",), value)


def _visible(context: Context) -> list[Session]:
    return [row for row in context.state.all(Session) if context.access.reads("session", row.node)]


def _session(context: Context, body: Mapping[str, Any]) -> Session:
    behavior = body.get("Behavior") or "release"
    if behavior not in ("release", "delete"):
        raise Rejected(400, f"Invalid Behavior setting '{behavior}'")
    node = body.get("Node") or context.node
    if context.state.node(node) is None:
        raise Rejected(400, "Missing node registration")
    checks = tuple(body.get("NodeChecks", body.get("Checks", [registry.ALIVE])))
    on_services = tuple(body["ServiceChecks"]) if "ServiceChecks" in body else None
    for check_id in (*checks, *(each.get("ID", "") for each in on_services or ())):
        _require_check(context, node, check_id)
    ttl = body.get("TTL", "")
    return Session(
        id=str(uuid.uuid4()),
        name=body.get("Name", ""),
        node=node,
        behavior=behavior,
        ttl=ttl,
        ttl_seconds=_ttl(ttl).total_seconds(),
        lock_delay_ns=_lock_delay(body.get("LockDelay")),
        node_checks=checks,
        service_checks=on_services,
    )


def _require_check(context: Context, node: str, check_id: str) -> None:
    check = context.state.check(node, check_id)
    if check is None:
        raise Rejected(400, f"Missing check '{check_id}' registration")
    if locks.is_critical(check):
        raise Rejected(400, f"Check '{check_id}' is in critical state")


def _ttl(text: str) -> timedelta:
    if not text:
        return timedelta()
    try:
        ttl = requests.duration(text)
    except ValueError as error:
        raise Rejected(400, f"Session TTL '{text}' invalid: {error}") from None
    if ttl and not _LEAST_TTL <= ttl <= _MOST_TTL:
        nanoseconds = round(ttl.total_seconds() * 1e9)
        raise Rejected(400, f"Invalid Session TTL '{nanoseconds}', must be between [10s=24h0m0s]")
    return ttl


def _lock_delay(value: Any) -> int:
    if value is None:
        return _DEFAULT_DELAY_NS
    if isinstance(value, str):
        try:
            delay = requests.duration(value)
        except ValueError as error:
            raise Rejected(400, f"Request decode failed: {error}") from None
        return max(0, round(delay.total_seconds() * 1e9))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return max(0, round(value * 1e9 if value < _SECONDS_BELOW else value))
    raise Rejected(400, "Request decode failed: LockDelay is no duration")
