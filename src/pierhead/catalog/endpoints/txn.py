"""Several changes that all happen, or none. Source: Consul HTTP API, Transactions."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from pierhead.catalog import decode, locks, registry, render, reply
from pierhead.catalog.endpoints import catalog, kv, selection, shapes
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.records import Check, Node, Pair, Service
from pierhead.catalog.reply import Outcome, Rejected
from pierhead.catalog.request import Request
from pierhead.catalog.tokens import denied

_MOST = 64
_PREFIX = "Failed to parse body: "

_READS = {"get", "get-tree", "get-or-empty", "check-index", "check-session", "check-not-exists"}
_VERBS = _READS | {"set", "cas", "lock", "unlock", "delete", "delete-tree", "delete-cas"}
_FILTERED = {"get", "get-tree", "get-or-empty"}
"""Reads whose answer leaves out what may not be read; all others would tell of it by failing or not."""
_CHANGES = {"set": "set", "cas": "set", "delete": "delete", "delete-cas": "delete"}
_LIMIT_NAME = "txn_max_req_len"

_READ_ONLY = {"Index": 0, "LastContact": 0, "KnownLeader": True, "ConsistencyLevel": ""}

Results = list[dict[str, Any]]


class _Failed(Exception):
    """An operation whose condition does not hold."""


def write(context: Context, request: Request, tail: str) -> Outcome:
    if len(request.body) > kv.VALUE_LIMIT:
        raise kv.too_large(len(request.body), _LIMIT_NAME)
    operations = decode.documents(request.body, shapes.TXN, prefix=_PREFIX, go_type="api.TxnOp")
    for operation in operations:
        _require_base64(operation.get("KV", {}))
    if len(operations) > _MOST:
        raise Rejected(413, f"Transaction contains too many operations ({len(operations)} > {_MOST})")
    read = _READ_ONLY if operations and not any(map(_is_write, operations)) else {}
    results: Results = []
    failures = []
    for number, operation in enumerate(operations):
        try:
            results += _run(context, operation)
        except (_Failed, Rejected) as error:
            failures.append({"OpIndex": number, "What": str(error)})
    if failures:
        context.state.take_back()
        return reply.of({"Results": None, "Errors": failures, **read}, status=409)
    return reply.of({"Results": results, "Errors": None, **read})


def _run(context: Context, operation: Mapping[str, Any]) -> Results:
    if "KV" in operation:
        body = operation["KV"]
        return [{"KV": shape} for shape in _run_pair(context, body)]
    if "Node" in operation:
        return _run_node(context, operation["Node"])
    if "Service" in operation:
        return _run_service(context, operation["Service"])
    return _run_check(context, operation["Check"]) if "Check" in operation else []


def _is_write(operation: Mapping[str, Any]) -> bool:
    return any(body.get("Verb") not in (*_READS, None) for body in operation.values())


def _require_base64(body: Mapping[str, Any]) -> None:
    try:
        base64.b64decode(body.get("Value", ""), validate=True)
    except (binascii.Error, ValueError):
        raise Rejected(400, f"{_PREFIX}illegal base64 data in the value of {body.get('Key', '')!r}") from None


def _run_pair(context: Context, body: Mapping[str, Any]) -> Results:
    verb, key = body.get("Verb", ""), body.get("Key", "")
    if verb not in _VERBS:
        raise _Failed(f'unknown KV verb "{verb}"')
    if not key and verb != "delete-tree":
        raise _Failed("Must provide key")
    _require_pair(context, verb, key)
    if verb in _READS:
        return _read_pair(context, verb, key, body)
    pair = _write_pair(context, verb, key, body)
    return [render.pair(pair, with_value=False)] if pair else []


def _require_pair(context: Context, verb: str, key: str) -> None:
    """Nothing, for what the request's token may do. Raises: Rejected."""
    if verb == "delete-tree" and not context.access.writes_all("key", key):
        raise denied()
    if verb in _READS and verb not in _FILTERED:
        context.access.require_read("key", key)
    elif verb not in _READS and verb != "delete-tree":
        context.access.require_write("key", key)


def _read_pair(context: Context, verb: str, key: str, body: Mapping[str, Any]) -> Results:
    pair = context.state.pair(key)
    if verb == "get-tree":
        return [render.pair(row) for name in kv.visible(context, key) if (row := context.state.pair(name))]
    if not context.access.reads("key", key):
        return []
    if verb == "get-or-empty":
        return [render.pair(pair or Pair(key, ""))]
    if verb == "check-not-exists":
        if pair:
            raise _Failed(f'key "{key}" exists')
        return []
    if pair is None:
        checked = {"check-index": "failed to check index, ", "check-session": "failed to check session, "}
        raise _Failed(f'{checked.get(verb, "")}key "{key}" doesn\'t exist')
    if verb == "check-index" and pair.modify != body.get("Index", 0):
        raise _Failed(
            f'failed index check for key "{key}", current modify index {pair.modify} != {body.get("Index", 0)}'
        )
    if verb == "check-session" and pair.session != body.get("Session", ""):
        raise _Failed(
            f'failed session check for key "{key}", current session "{pair.session}" != "{body.get("Session", "")}"'
        )
    return [render.pair(pair, with_value=verb == "get")]


def _write_pair(context: Context, verb: str, key: str, body: Mapping[str, Any]) -> Pair | None:
    state, value, flags = context.state, body.get("Value", ""), body.get("Flags", 0)
    if verb == "set":
        return locks.put(state, key, value, flags)
    if verb == "cas":
        return _held(
            locks.put_if(state, key, value, flags, body.get("Index", 0)), f'failed to set key "{key}", index is stale'
        )
    if verb == "lock":
        return _held(
            _lock(context, key, value, flags, body.get("Session", "")),
            f'failed to lock key "{key}", lock is already held',
        )
    if verb == "unlock":
        pair = locks.release(state, key, value, flags, body.get("Session", ""))
        return _held(pair, f'failed to unlock key "{key}", lock isn\'t held, or is held by another session')
    _delete_pair(context, verb, key, body)
    return None


def _delete_pair(context: Context, verb: str, key: str, body: Mapping[str, Any]) -> None:
    if verb == "delete-tree":
        locks.delete_tree(context.state, key)
    elif verb == "delete-cas":
        if not locks.delete_if(context.state, key, body.get("Index", 0)):
            raise _Failed(f'failed to delete key "{key}", index is stale')
    elif pair := context.state.pair(key):
        context.state.drop(pair)


def _lock(context: Context, key: str, value: str, flags: int, session: str) -> Pair | None:
    if not session:
        raise _Failed("missing session")
    kv.is_session_id(session)
    if context.state.session(session) is None:
        raise _Failed(f'invalid session "{session}"')
    if kv.is_held_back(context, key):
        return None
    return locks.acquire(context.state, key, value, flags, session)


def _held(pair: Pair | None, refusal: str) -> Pair:
    if pair is None:
        raise _Failed(refusal)
    return pair


def _run_node(context: Context, operation: Mapping[str, Any]) -> Results:
    verb, body = operation.get("Verb", ""), operation.get("Node", {})
    name = body.get("Node", "")
    row = context.state.node(name)
    _require_verb(context, "Node", verb, "node", name)
    _require_row(verb, row, body, f'node "{name}"')
    if verb in ("delete", "delete-cas"):
        if row and row.name != context.node:
            registry.drop_node(context.state, row)
        return []
    if verb != "get":
        if not name:
            raise _Failed("Must provide node")
        row = catalog.put_node(context, {"Address": "", **body}, needs_address=False)
    is_seen = row is not None and context.access.reads("node", row.name)
    return [{"Node": render.node(row, context.state.datacenter)}] if row and is_seen else []


def _run_service(context: Context, operation: Mapping[str, Any]) -> Results:
    verb, body, node = operation.get("Verb", ""), operation.get("Service", {}), operation.get("Node", "")
    service_id = body.get("ID") or body.get("Service", "")
    row = context.state.service(node, service_id)
    _require_verb(context, "Service", verb, "service", row.name if row else body.get("Service", ""))
    if verb != "get" and not body.get("Service"):
        raise _Failed("Must provide service name with ID")
    _require_row(verb, row, body, f'service "{service_id}" on node "{node}"')
    if verb in ("delete", "delete-cas"):
        registry.drop_service(context.state, node, service_id)
        return []
    if verb != "get":
        _require_node(context, node)
        catalog.put_service(context, node, body)
    row = context.state.service(node, service_id)
    return [{"Service": render.service(row)}] if row and context.access.reads("service", row.name) else []


def _run_check(context: Context, operation: Mapping[str, Any]) -> Results:
    verb, body = operation.get("Verb", ""), operation.get("Check", {})
    node, check_id = body.get("Node", ""), body.get("CheckID") or body.get("Name", "")
    row = context.state.check(node, check_id)
    of = context.state.service(node, row.service_id if row else body.get("ServiceID", ""))
    _require_verb(context, "Check", verb, "service" if of else "node", of.name if of else node)
    _require_row(verb, row, body, f'check "{check_id}" on node "{node}"')
    if verb in ("delete", "delete-cas"):
        if row:
            registry.drop_check(context.state, row)
        return []
    if verb != "get":
        _require_node(context, node)
        catalog.put_check(context, node, body)
    row = context.state.check(node, check_id)
    is_seen = row is not None and selection.is_visible(context, row)
    return [{"Check": render.check(row, context.state.service(node, row.service_id))}] if row and is_seen else []


def _require_verb(context: Context, what: str, verb: str, kind: str, name: str) -> None:
    """Nothing, for a verb that there is and that the request's token may use. Raises: _Failed, Rejected."""
    if verb != "get" and verb not in _CHANGES:
        raise _Failed(f'unknown {what} verb "{verb}"')
    if verb in _CHANGES:
        context.access.require_write(kind, name)


def _require_node(context: Context, node: str) -> None:
    if context.state.node(node) is None:
        raise _Failed("Missing node registration")


def _require_row(verb: str, row: Node | Service | Check | None, body: Mapping[str, Any], what: str) -> None:
    """Nothing, for a verb whose condition holds. Raises: _Failed."""
    if verb == "get" and row is None:
        raise _Failed(f"{what} doesn't exist")
    if verb in ("cas", "delete-cas") and (row.modify if row else 0) != body.get("ModifyIndex", 0):
        raise _Failed(f"failed to {_CHANGES[verb]} {what}, index is stale")
