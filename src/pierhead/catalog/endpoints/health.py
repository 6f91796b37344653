"""Services with their checks. Source: Consul HTTP API, Health."""

from __future__ import annotations

from typing import Any

from pierhead.catalog import fields, render, reply
from pierhead.catalog.endpoints import context as endpoint
from pierhead.catalog.endpoints import selection
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.records import PASSING, Check, Service
from pierhead.catalog.reply import Outcome, Reply, Watch
from pierhead.catalog.request import Request

_SPARE = 1000
"""Encoded checks that may be kept beyond twice those that are there."""


def service(context: Context, request: Request, tail: str) -> Outcome:
    name = endpoint.required(tail, "service name")
    passing_only = request.flag("passing")

    def value() -> list[Any]:
        rows = selection.services(context, request, name)
        kept = [row for row in rows if not passing_only or _is_passing(context, row)]
        return endpoint.selected(request, [render.entry(context.state, row) for row in kept], fields.ENTRY)

    return endpoint.watch(context, request, (f"service:{name.lower()}",), value)


def checks(context: Context, request: Request, tail: str) -> Outcome:
    name = endpoint.required(tail, "service name")

    def value() -> list[Any]:
        rows = selection.services(context, request, name)
        found = [render.check(check, row) for row in rows for check in context.state.checks(row.node, row.id)]
        return endpoint.selected(request, found, fields.CHECK)

    return endpoint.watch(context, request, (f"service:{name.lower()}",), value)


def node(context: Context, request: Request, tail: str) -> Outcome:
    name = endpoint.required(tail, "node name")

    def value() -> list[Any]:
        rows = [row for row in context.state.checks_on(name) if selection.is_visible(context, row)]
        return endpoint.selected(request, [_render(context, row) for row in rows], fields.CHECK)

    return endpoint.watch(context, request, (f"node:{name.lower()}",), value)


def state(context: Context, request: Request, tail: str) -> Outcome:
    status = endpoint.required(tail, "check state")
    if context.access.is_root and not any(request.has(name) for name in ("filter", "node-meta", "near")):
        return Watch(
            context.state.ledger.changed("checks"), ("checks",), lambda: _every(context, status), is_cached=True
        )

    def value() -> list[Any]:
        rows = [row for row in context.state.all(Check) if status in ("any", row.status)]
        seen = [row for row in rows if selection.is_visible(context, row)]
        kept = [row for row in seen if selection.is_chosen_node(context, request, row.node)]
        shapes = [_render(context, row) for row in selection.nearest(context, request, kept)]
        return endpoint.selected(request, shapes, fields.CHECK)

    return endpoint.watch(context, request, ("checks",), value)


def none(context: Context, request: Request, tail: str) -> Outcome:
    """There is no service mesh: nothing is ever found."""
    return endpoint.watch(context, request, ("services",), list)


def _every(context: Context, status: str) -> Reply:
    """All checks of that status. Each is encoded once and kept, because this is asked for after every change."""
    state, kept = context.state, context.encoded_checks
    parts = []
    for row in state.each(Check):
        if status not in ("any", row.status):
            continue
        of = state.service(row.node, row.service_id)
        known = kept.get(row.key)
        if known is None or known[0] is not row or known[1] is not of:
            known = kept[row.key] = (row, of, reply.encode(render.check(row, of)))
        parts.append(known[2])
    if len(kept) > 2 * len(parts) + _SPARE:
        kept.clear()
    return Reply(200, b"[" + b",".join(parts) + b"]", reply.JSON)


def _render(context: Context, row: Check) -> dict[str, Any]:
    return render.check(row, context.state.service(row.node, row.service_id))


def _is_passing(context: Context, row: Service) -> bool:
    checks_ = [*context.state.checks(row.node, ""), *context.state.checks(row.node, row.id)]
    return all(check.status == PASSING for check in checks_)
