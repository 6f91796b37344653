"""The parameters by which reads choose rows: `tag`, `node-meta`, `near`, `dc`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.records import Check, Service
from pierhead.catalog.request import Request

R = TypeVar("R", Service, Check)


def services(context: Context, request: Request, name: str) -> list[Service]:
    """The instances of a service that have every `tag` and whose node has every `node-meta`, the `near` ones first.

    None that the request's token may not see.
    """
    if not context.access.reads("service", name):
        return []
    wanted = {tag.lower() for tag in request.query.get("tag", ()) if tag}
    rows = [
        row
        for row in context.state.services(name)
        if wanted <= {tag.lower() for tag in row.tags or ()} and is_chosen_node(context, request, row.node)
    ]
    return nearest(context, request, rows)


def is_chosen_node(context: Context, request: Request, node: str) -> bool:
    """The node has every `node-meta=key:value` of the request, whose token may see it."""
    if not context.access.reads("node", node):
        return False
    wanted = [pair.partition(":")[::2] for pair in request.query.get("node-meta", ()) if pair]
    if not wanted:
        return True
    row = context.state.node(node)
    meta = (row.meta if row else None) or {}
    return all(meta.get(key) == value for key, value in wanted)


def is_visible(context: Context, check: Check) -> bool:
    """The request's token may see the check: the node's, and the service's for one of a service."""
    access = context.access
    if access.is_root:
        return True
    of = context.state.service(check.node, check.service_id)
    return access.reads("node", check.node) and (of is None or access.reads("service", of.name))


def nearest(context: Context, request: Request, rows: Sequence[R]) -> list[R]:
    """Those on the node named by `near` first. There are no round-trip times: all others are equally far."""
    node = near(context, request)
    return sorted(rows, key=lambda row: row.node.lower() != node) if node else list(rows)


def near(context: Context, request: Request) -> str:
    """The node that the request is near to, in lower case; empty: none."""
    name = request.get("near")
    return (context.node if name == "_agent" else name).lower()
