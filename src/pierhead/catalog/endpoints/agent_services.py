"""Services of the server's own node. Source: Consul HTTP API, Agent / Service."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

from pierhead.catalog import decode, fields, registry, render, reply
from pierhead.catalog.endpoints import context as endpoint
from pierhead.catalog.endpoints import definitions, shapes
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.records import CRITICAL, MAINTENANCE, PASSING, WARNING, Check, Service
from pierhead.catalog.reply import Outcome, Rejected, Reply, Watch
from pierhead.catalog.request import Request

_META_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_META_VALUE_LIMIT = 512
_META_PAIRS_LIMIT = 64


def register(context: Context, request: Request, tail: str) -> Outcome:
    body = decode.document(request.body, shapes.AGENT_SERVICE)
    service = _with_addresses(read_service(body, context.node, name_field="Name"))
    old = context.state.service(context.node, service.id)
    for name in {service.name, *([old.name] if old else [])}:
        context.access.require_own("service", name)
    checks = [check for check in (body.get("Check"), *body.get("Checks", [])) if check]
    for check in checks:
        definitions.validate(check)
        if check.get("Status") and not definitions.is_status(check["Status"]):
            raise Rejected(400, "Status for checks must 'passing', 'warning', 'critical'")
    context.state.put(service)
    ids = {_put_check(context, service, check, number, len(checks)) for number, check in enumerate(checks, 1)}
    if request.flag("replace-existing-checks"):
        for row in context.state.checks(context.node, service.id):
            if row.id not in ids and not row.id.startswith(registry.SERVICE_MAINTENANCE):
                registry.drop_check(context.state, row)
    return endpoint.done()


def deregister(context: Context, request: Request, tail: str) -> Outcome:
    service = _known(context, endpoint.required(tail, "service ID"), f'Unknown service ID "{tail}"')
    context.access.require_own("service", service.name)
    registry.drop_service(context.state, context.node, service.id)
    return endpoint.done()


def services(context: Context, request: Request, tail: str) -> Outcome:
    rows = [
        row
        for row in context.state.services_on(context.node)
        if row.id != registry.SERVER and context.access.reads("service", row.name)
    ]
    return reply.of(
        endpoint.selected_map(
            request, {row.id: render.agent_service(row, context.state.datacenter) for row in rows}, fields.SERVICE
        )
    )


def service(context: Context, request: Request, tail: str) -> Outcome:
    """Waits by `hash`: the answer carries the hash of its content in X-Consul-ContentHash."""
    row = _known(context, endpoint.required(tail, "service ID"), f"unknown service ID: {tail}")
    context.access.require_read("service", row.name)
    shape = render.agent_service(row, context.state.datacenter)
    digest = format(crc32(reply.encode(shape)), "016x")
    answer = reply.of({**shape, "ContentHash": digest}, headers=(("X-Consul-ContentHash", digest),))
    if request.get("hash") != digest:
        return answer
    return Watch(0, (f"service:{row.name.lower()}",), lambda: answer, waits_for_content=True)


def maintenance(context: Context, request: Request, tail: str) -> Outcome:
    enable = is_enabled(request)
    row = _known(context, endpoint.required(tail, "service ID"), f'No service registered with ID "{tail}"')
    context.access.require_own("service", row.name)
    if enable:
        registry.hold_service(context.state, row, request.get("reason"))
    else:
        registry.release_service(context.state, row)
    return endpoint.done()


def health_by_name(context: Context, request: Request, tail: str) -> Outcome:
    name = endpoint.required(tail, "service Name")
    context.access.require_read("service", name)
    rows = [row for row in context.state.services_on(context.node) if row.name.lower() == name.lower()]
    shapes_ = [_health(context, row) for row in rows]
    if not rows:
        return _verdict(request, 404, [], f"ServiceName {name} Not Found")
    status = _worst([shape["AggregatedStatus"] for shape in shapes_])
    return _verdict(request, _STATUS_CODES[status], shapes_, status)


def health_by_id(context: Context, request: Request, tail: str) -> Outcome:
    row = context.state.service(context.node, endpoint.required(tail, "serviceID"))
    if row is None:
        return _verdict(request, 404, _NO_HEALTH, f"ServiceId {tail} not found")
    context.access.require_read("service", row.name)
    shape = _health(context, row)
    return _verdict(request, _STATUS_CODES[shape["AggregatedStatus"]], shape, shape["AggregatedStatus"])


def is_enabled(request: Request) -> bool:
    """The parameter `enable`. Raises: Rejected 400."""
    if not request.has("enable"):
        raise Rejected(400, "Missing value for enable")
    value = request.get("enable")
    if not value:
        raise Rejected(400, 'Invalid value for enable: ""')
    return request.flag("enable", refusal=f'Invalid value for enable: "{value}"')


def read_service(body: Mapping[str, Any], node: str, *, name_field: str) -> Service:
    """The row that a body describes. Raises: Rejected 400."""
    name = body.get(name_field, "")
    if not name:
        raise Rejected(400, "Missing service name")
    if body.get("Address") in ("0.0.0.0", "::", "[::]"):  # noqa: S104
        raise Rejected(400, "Invalid service address")
    _check_meta(body.get("Meta", {}))
    weights = body.get("Weights", {})
    if weights and weights.get("Passing", 0) < 1:
        raise Rejected(400, "Invalid Weights: Passing must be greater than 0")
    if weights.get("Warning", 0) < 0:
        raise Rejected(400, "Invalid Weights: Warning must be greater or equal than 0")
    tagged = {
        key: {"Address": value.get("Address", ""), "Port": value.get("Port", 0)}
        for key, value in body.get("TaggedAddresses", {}).items()
    }
    return Service(
        node=node,
        id=body.get("ID") or name,
        name=name,
        address=body.get("Address", ""),
        port=body.get("Port", 0),
        tags=tuple(body["Tags"]) if body.get("Tags") else None,
        meta=body.get("Meta") or None,
        tagged_addresses=tagged or None,
        weights=(weights.get("Passing", 1), weights.get("Warning", 1)),
        enable_tag_override=body.get("EnableTagOverride", False),
    )


_NO_HEALTH = {"AggregatedStatus": CRITICAL, "Service": None, "Checks": None}
_STATUS_CODES = {PASSING: 200, WARNING: 429, CRITICAL: 503, MAINTENANCE: 503}


def _with_addresses(row: Service) -> Service:
    """The service with the tagged addresses that an agent adds for an address that is an IP's."""
    try:
        version = ipaddress.ip_address(row.address).version
    except ValueError:
        return row
    own = {"Address": row.address, "Port": row.port}
    given = row.tagged_addresses or {}
    return replace(row, tagged_addresses={**{f"{net}_ipv{version}": own for net in ("lan", "wan")}, **given})


def _known(context: Context, service_id: str, refusal: str) -> Service:
    row = context.state.service(context.node, service_id)
    if row is None:
        raise Rejected(404, refusal)
    return row


def _put_check(context: Context, service: Service, body: Mapping[str, Any], number: int, count: int) -> str:
    """The check is there, with the status it had before if it was there; its id is returned."""
    check_id = body.get("CheckID") or body.get("ID") or f"service:{service.id}" + (f":{number}" if count > 1 else "")
    name = body.get("Name") or f"Service '{service.name}' check"
    put_check(context, definitions.row(body, context.node, check_id, name, service.id))
    return check_id


def put_check(context: Context, row: Check) -> None:
    """The check is there, with the status and output it had before if it was there."""
    old = context.state.check(context.node, row.id)
    if old is not None:
        row = replace(row, status=old.status, output=old.output)
    context.upkeep.beat(context.state.put(row), context.now)


def _health(context: Context, row: Service) -> dict[str, Any]:
    checks = context.state.checks(context.node, row.id)
    on_node = [check for check in context.state.checks(context.node, "") if check.id != registry.ALIVE]
    statuses = [check.status if check.kind != MAINTENANCE else MAINTENANCE for check in [*on_node, *checks]]
    return {
        "AggregatedStatus": _worst(statuses),
        "Service": render.agent_service(row, context.state.datacenter),
        "Checks": [render.check(check, None) for check in on_node] + [render.check(check, row) for check in checks],
    }


def _worst(statuses: list[str]) -> str:
    order = (MAINTENANCE, CRITICAL, WARNING)
    return next((status for status in order if status in statuses), PASSING)


def _verdict(request: Request, status: int, value: Any, reason: str) -> Reply:
    headers = (("X-Consul-Reason", reason),)
    if request.get("format") == "text" and status != 404:
        return Reply(status, reason.encode(), "text/plain", headers)
    return reply.of(value, status=status, headers=headers)


def _check_meta(meta: Mapping[str, str]) -> None:
    if len(meta) > _META_PAIRS_LIMIT:
        raise Rejected(
            400, f"Invalid Service Meta: Node metadata cannot contain more than {_META_PAIRS_LIMIT} key/value pairs"
        )
    for key, value in meta.items():
        if not key:
            reason = "Key cannot be blank"
        elif not _META_KEY.fullmatch(key):
            reason = "Key contains invalid characters"
        elif len(value) > _META_VALUE_LIMIT:
            reason = f"Value is too long (limit: {_META_VALUE_LIMIT} characters)"
        else:
            continue
        raise Rejected(400, f"Invalid Service Meta: Couldn't load metadata pair ('{key}', '{value[:80]}'): {reason}")
