"""Checks of the server's own node. Source: Consul HTTP API, Agent / Check."""

from __future__ import annotations

from pierhead.catalog import decode, fields, registry, render, reply
from pierhead.catalog.endpoints import agent_services, definitions, selection, shapes
from pierhead.catalog.endpoints import context as endpoint
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.records import CRITICAL, PASSING, WARNING, Check
from pierhead.catalog.reply import Outcome, Rejected
from pierhead.catalog.request import Request

_OUTPUT_LIMIT = 4096


def checks(context: Context, request: Request, tail: str) -> Outcome:
    found = {}
    for row in context.state.checks_on(context.node):
        if row.id != registry.ALIVE and selection.is_visible(context, row):
            shape = render.check(row, context.state.service(row.node, row.service_id))
            found[row.id] = {**shape, "Output": context.upkeep.outputs.get(row.key, row.output)}
    return reply.of(endpoint.selected_map(request, found, fields.CHECK))


def register(context: Context, request: Request, tail: str) -> Outcome:
    body = decode.document(request.body, shapes.AGENT_CHECK)
    if not body.get("Name"):
        raise Rejected(400, "Missing check name")
    if body.get("Status") and not definitions.is_status(body["Status"]):
        raise Rejected(400, "Bad check status")
    definitions.validate(body)
    service_id = body.get("ServiceID", "")
    if service_id and context.state.service(context.node, service_id) is None:
        raise Rejected(404, f'ServiceID "{service_id}" does not exist')
    require_write(context, service_id)
    check_id = body.get("CheckID") or body.get("ID") or body["Name"]
    agent_services.put_check(context, definitions.row(body, context.node, check_id, body["Name"], service_id))
    return endpoint.done()


def deregister(context: Context, request: Request, tail: str) -> Outcome:
    row = context.state.check(context.node, endpoint.required(tail, "check ID"))
    if row is None:
        raise Rejected(404, f'Unknown check ID "{tail}"')
    require_write(context, row.service_id)
    registry.drop_check(context.state, row)
    return endpoint.done()


def pass_(context: Context, request: Request, tail: str) -> Outcome:
    return _report(context, tail, PASSING, request.get("note"))


def warn(context: Context, request: Request, tail: str) -> Outcome:
    return _report(context, tail, WARNING, request.get("note"))


def fail(context: Context, request: Request, tail: str) -> Outcome:
    return _report(context, tail, CRITICAL, request.get("note"))


def update(context: Context, request: Request, tail: str) -> Outcome:
    body = decode.document(request.body, shapes.CHECK_UPDATE)
    status = body.get("Status", "")
    if not definitions.is_status(status):
        raise Rejected(400, f"Invalid check status: '{status}'")
    return _report(context, tail, status, body.get("Output", ""))


def require_write(context: Context, service_id: str) -> None:
    """Nothing, when the checks of that service, or of the agent's node, may be written. Raises: Rejected 403."""
    of = context.state.service(context.node, service_id)
    context.access.require_own("service" if of else "node", of.name if of else context.node)


def _report(context: Context, check_id: str, status: str, output: str) -> Outcome:
    row = _ttl_check(context, check_id)
    if len(output) > _OUTPUT_LIMIT:
        output = f"{output[:_OUTPUT_LIMIT]} ... (captured {_OUTPUT_LIMIT} of {len(output)} bytes)"
    context.upkeep.report(row, status, output, context.now)
    context.upkeep.beat(row, context.now)
    return endpoint.done()


def _ttl_check(context: Context, check_id: str) -> Check:
    row = context.state.check(context.node, endpoint.required(check_id, "check ID"))
    if row is None or row.kind != "ttl":
        raise Rejected(404, f'CheckID "{check_id}" does not have associated TTL')
    require_write(context, row.service_id)
    return row
