"""What is registered, and registering what has no agent. Source: Consul HTTP API, Catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pierhead.catalog import decode, fields, registry, render, reply
from pierhead.catalog.endpoints import agent_services, definitions, selection, shapes
from pierhead.catalog.endpoints import context as endpoint
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.records import CRITICAL, Check, Node
from pierhead.catalog.reply import Outcome, Rejected, Watch
from pierhead.catalog.request import Request
from pierhead.catalog.tokens import denied

_NODE_ID = re.compile(r"(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?")


def datacenters(context: Context, request: Request, tail: str) -> Outcome:
    return reply.of([context.state.datacenter])


def nodes(context: Context, request: Request, tail: str) -> Outcome:
    def value() -> list[Any]:
        rows = [row for row in context.state.all(Node) if selection.is_chosen_node(context, request, row.name)]
        rows.sort(key=lambda row: row.name.lower() != selection.near(context, request))
        return endpoint.selected(request, [render.node(row, context.state.datacenter) for row in rows], fields.NODE)

    return endpoint.watch(context, request, ("nodes",), value)


def services(context: Context, request: Request, tail: str) -> Outcome:
    is_chosen = request.has("filter") or request.has("node-meta")

    def value() -> dict[str, list[str]]:
        names = [name for name in context.state.names() if context.access.reads("service", name)]
        if not is_chosen:
            return {name: _all_tags(context, name) for name in names}
        return {name: tags for name in names if (tags := _tags(context, request, name)) is not None}

    return endpoint.watch(context, request, ("services",), value)


def service(context: Context, request: Request, tail: str) -> Outcome:
    name = endpoint.required(tail, "service name")

    def value() -> list[Any]:
        found = []
        for row in selection.services(context, request, name):
            if on := context.state.node(row.node):
                found.append(render.flat_service(row, on, context.state.datacenter))
        return endpoint.selected(request, found, fields.FLAT_SERVICE)

    return endpoint.watch(context, request, (f"service:{name.lower()}",), value)


def node(context: Context, request: Request, tail: str) -> Outcome:
    return _node(context, request, tail, as_list=False)


def node_services(context: Context, request: Request, tail: str) -> Outcome:
    return _node(context, request, tail, as_list=True)


def register(context: Context, request: Request, tail: str) -> Outcome:
    body = decode.document(request.body, shapes.CATALOG_REGISTER)
    _refuse_elsewhere(context, body)
    changed = put_node(context, body)
    if changed.modify == context.state.ledger.next:
        context.access.require_write("node", body["Node"])
    if "Service" in body:
        put_service(context, body["Node"], body["Service"])
    for check in [*([body["Check"]] if "Check" in body else []), *body.get("Checks", [])]:
        put_check(context, body["Node"], check)
    return reply.of(True)


def deregister(context: Context, request: Request, tail: str) -> Outcome:
    body = decode.document(request.body, shapes.CATALOG_DEREGISTER)
    _refuse_elsewhere(context, body)
    _require_removal(context, body)
    row = context.state.node(body["Node"])
    if row is None:
        return reply.of(True)
    if service_id := body.get("ServiceID"):
        registry.drop_service(context.state, row.name, service_id)
    elif check_id := body.get("CheckID"):
        if check := context.state.check(row.name, check_id):
            registry.drop_check(context.state, check)
    elif row.name == context.node:
        raise Rejected(400, "The server's own node cannot be removed: it would register itself again")
    else:
        registry.drop_node(context.state, row)
    return reply.of(True)


def put_node(context: Context, body: Mapping[str, Any], *, needs_address: bool = True) -> Node:
    """The node that the body describes is there; `SkipNodeUpdate` leaves one that is there as it is."""
    old = context.state.node(body["Node"])
    if body.get("SkipNodeUpdate") and old:
        return old
    if needs_address and not body.get("Address"):
        raise Rejected(400, "Must provide address if SkipNodeUpdate is not set")
    if old and old.name == context.node:
        return old
    if not _NODE_ID.fullmatch(body.get("ID", "")):
        raise Rejected(400, "Bad node ID: uuid string is wrong length")
    row = Node(
        name=body["Node"],
        address=body["Address"],
        id=body.get("ID", "") or (old.id if old else ""),
        meta=body.get("NodeMeta", body.get("Meta")),
        tagged_addresses=body.get("TaggedAddresses"),
    )
    return context.state.put(row)


def put_service(context: Context, node: str, body: Mapping[str, Any]) -> None:
    """The service that the body describes is on the node, which is there."""
    if not body.get("Service"):
        raise Rejected(400, "Must provide service name with ID" if body.get("ID") else "Must provide service name")
    row = agent_services.read_service(body, node, name_field="Service")
    old = context.state.service(node, row.id)
    for name in {row.name, *([old.name] if old else [])}:
        context.access.require_write("service", name)
    context.state.put(row)


def put_check(context: Context, node: str, body: Mapping[str, Any]) -> None:
    """The check that the body describes is on the node, which is there."""
    service_id = body.get("ServiceID", "")
    of = context.state.service(node, service_id) if service_id else None
    if service_id and of is None:
        raise Rejected(400, f'failed inserting check: Missing service registration on node "{node}"')
    context.access.require_write("service" if of else "node", of.name if of else node)
    check_id = body.get("CheckID") or body.get("Name", "")
    if not check_id:
        raise Rejected(400, f'failed inserting check: object missing primary index on node "{node}"')
    old, told = context.state.check(node, check_id), body.get("Definition") or {}
    is_run_here = old is not None and bool(old.definition.keys() - {definitions.SHOWN})
    row = Check(
        node=node,
        id=check_id,
        name=body.get("Name", ""),
        status=body.get("Status") or CRITICAL,
        notes=body.get("Notes", ""),
        output=body.get("Output", ""),
        service_id=service_id,
        kind=old.kind if old else definitions.shown_kind(told),
        definition=old.definition if old and is_run_here else definitions.shown(told),
    )
    context.state.put(row)


def _node(context: Context, request: Request, tail: str, *, as_list: bool) -> Watch:
    name = endpoint.required(tail, "node name")

    def value() -> Any:
        row = context.state.node(name)
        if row is None or not context.access.reads("node", row.name):
            return {"Node": None, "Services": None} if as_list else None
        rows = [each for each in context.state.services_on(name) if context.access.reads("service", each.name)]
        found = {each.id: render.service(each) for each in rows}
        kept = endpoint.selected_map(request, found, fields.SERVICE)
        return {
            "Node": render.node(row, context.state.datacenter),
            "Services": list(kept.values()) if as_list else kept,
        }

    return endpoint.watch(context, request, (f"node:{name.lower()}",), value)


def _tags(context: Context, request: Request, name: str) -> list[str] | None:
    """The tags of all instances, or None when the request wants none of them."""
    rows = [row for row in context.state.services(name) if selection.is_chosen_node(context, request, row.node)]
    if request.has("filter"):
        rows = [row for row in rows if endpoint.selected(request, [_flat(context, row)], fields.FLAT_SERVICE)]
    return list(dict.fromkeys(tag for row in rows for tag in row.tags or ())) if rows else None


def _all_tags(context: Context, name: str) -> list[str]:
    """The tags of all instances, looked up again only when the service has changed."""
    at = context.state.ledger.changed(f"service:{name.lower()}")
    known = context.tags.get(name)
    if known is None or known[0] != at:
        rows = context.state.services(name)
        known = context.tags[name] = (at, list(dict.fromkeys(tag for row in rows for tag in row.tags or ())))
    return known[1]


def _flat(context: Context, row: Any) -> dict[str, Any]:
    on = context.state.node(row.node)
    return render.flat_service(row, on, context.state.datacenter) if on else {}


def _require_removal(context: Context, body: Mapping[str, Any]) -> None:
    """Nothing, for whoever may write the node, or the service that is meant. Raises: Rejected 403."""
    access, node = context.access, body["Node"]
    if access.writes("node", node):
        return
    check = context.state.check(node, body["CheckID"]) if body.get("CheckID") else None
    of = context.state.service(node, body.get("ServiceID") or (check.service_id if check else ""))
    if of is None:
        raise denied()
    access.require_write("service", of.name)


def _refuse_elsewhere(context: Context, body: Mapping[str, Any]) -> None:
    if not body.get("Node"):
        raise Rejected(400, "Must provide node")
    if body.get("Datacenter", context.state.datacenter) not in ("", context.state.datacenter):
        raise Rejected(500, "No path to datacenter")
