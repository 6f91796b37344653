"""Which endpoint answers which method and path."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pierhead.catalog.endpoints import (
    agent_checks,
    agent_node,
    agent_services,
    catalog,
    changes,
    events,
    health,
    kv,
    sessions,
    stubs,
    txn,
)
from pierhead.catalog.endpoints.context import Context
from pierhead.catalog.reply import Outcome, Rejected, Reply
from pierhead.catalog.request import Request

Endpoint = Callable[[Context, Request, str], Outcome]
Methods = Mapping[str, Endpoint]

_DEEPEST = 6

ROUTES: dict[str, Methods] = {
    "/v1/agent/services": {"GET": agent_services.services},
    "/v1/agent/service/": {"GET": agent_services.service},
    "/v1/agent/service/register": {"PUT": agent_services.register},
    "/v1/agent/service/deregister/": {"PUT": agent_services.deregister},
    "/v1/agent/service/maintenance/": {"PUT": agent_services.maintenance},
    "/v1/agent/health/service/name/": {"GET": agent_services.health_by_name},
    "/v1/agent/health/service/id/": {"GET": agent_services.health_by_id},
    "/v1/agent/checks": {"GET": agent_checks.checks},
    "/v1/agent/check/register": {"PUT": agent_checks.register},
    "/v1/agent/check/deregister/": {"PUT": agent_checks.deregister},
    "/v1/agent/check/pass/": {"PUT": agent_checks.pass_},
    "/v1/agent/check/warn/": {"PUT": agent_checks.warn},
    "/v1/agent/check/fail/": {"PUT": agent_checks.fail},
    "/v1/agent/check/update/": {"PUT": agent_checks.update},
    "/v1/agent/self": {"GET": agent_node.self_},
    "/v1/agent/members": {"GET": agent_node.members},
    "/v1/agent/maintenance": {"PUT": agent_node.maintenance},
    "/v1/agent/reload": {"PUT": agent_node.reload},
    "/v1/agent/join/": {"PUT": agent_node.refuse_cluster},
    "/v1/agent/leave": {"PUT": agent_node.refuse_cluster},
    "/v1/agent/force-leave/": {"PUT": agent_node.refuse_cluster},
    "/v1/agent/token/": {"PUT": stubs.no_acl},
    "/v1/catalog/datacenters": {"GET": catalog.datacenters},
    "/v1/catalog/nodes": {"GET": catalog.nodes},
    "/v1/catalog/node/": {"GET": catalog.node},
    "/v1/catalog/node-services/": {"GET": catalog.node_services},
    "/v1/catalog/services": {"GET": catalog.services},
    "/v1/catalog/service/": {"GET": catalog.service},
    "/v1/catalog/connect/": {"GET": health.none},
    "/v1/catalog/gateway-services/": {"GET": stubs.nothing},
    "/v1/catalog/register": {"PUT": catalog.register},
    "/v1/catalog/deregister": {"PUT": catalog.deregister},
    "/v1/health/service/": {"GET": health.service},
    "/v1/health/connect/": {"GET": health.none},
    "/v1/health/ingress/": {"GET": health.none},
    "/v1/health/checks/": {"GET": health.checks},
    "/v1/health/node/": {"GET": health.node},
    "/v1/health/state/": {"GET": health.state},
    "/v1/pierhead/changes": {"GET": changes.services},
    "/v1/pierhead/services": {"GET": changes.now},
    "/v1/kv/": {"GET": kv.read, "PUT": kv.write, "DELETE": kv.delete},
    "/v1/session/create": {"PUT": sessions.create},
    "/v1/session/destroy/": {"PUT": sessions.destroy},
    "/v1/session/renew/": {"PUT": sessions.renew},
    "/v1/session/info/": {"GET": sessions.info},
    "/v1/session/list": {"GET": sessions.sessions},
    "/v1/session/node/": {"GET": sessions.node},
    "/v1/txn": {"PUT": txn.write},
    "/v1/event/fire/": {"PUT": events.fire},
    "/v1/event/list": {"GET": events.list_},
    "/v1/status/leader": {"GET": stubs.leader},
    "/v1/status/peers": {"GET": stubs.peers},
    "/v1/coordinate/nodes": {"GET": stubs.coordinates},
    "/v1/coordinate/datacenters": {"GET": stubs.areas},
    "/v1/coordinate/node/": {"GET": stubs.coordinates},
    "/v1/operator/raft/configuration": {"GET": stubs.raft},
    "/v1/operator/autopilot/health": {"GET": stubs.autopilot},
    "/v1/operator/autopilot/configuration": {"GET": stubs.autopilot_settings},
    "/v1/query": {"GET": stubs.empty},
    "/v1/query/": {"GET": stubs.no_query},
    "/v1/config/": {"GET": stubs.config},
    "/v1/connect/intentions": {"GET": stubs.empty},
    "/v1/connect/intentions/match": {"GET": stubs.intentions},
    "/v1/discovery-chain/": {"GET": stubs.no_connect},
    "/v1/agent/connect/": {"GET": stubs.no_connect},
    "/v1/connect/ca/": {"GET": stubs.no_connect, "PUT": stubs.no_connect},
    "/v1/acl/bootstrap": {"PUT": stubs.no_acl},
    "/v1/acl/": {"GET": stubs.no_acl, "PUT": stubs.no_acl, "POST": stubs.no_acl, "DELETE": stubs.no_acl},
    "/": {"GET": stubs.root},
}


def find(path: str) -> tuple[Methods, str] | None:
    """The endpoints of a path and what follows their prefix, the longest prefix first."""
    if path in ROUTES:
        return ROUTES[path], ""
    end = _nth_slash(path, _DEEPEST)
    while end > 0:
        prefix = path[: end + 1]
        if prefix in ROUTES:
            return ROUTES[prefix], path[end + 1 :]
        end = path.rfind("/", 0, end)
    return None


def answer(context: Context, request: Request) -> Outcome:
    """The outcome of the request. Raises: Rejected."""
    found = find(request.path)
    if found is None:
        return Reply(404)
    methods, tail = found
    allowed = (("Allow", ",".join(["OPTIONS", *methods])),)
    if request.method == "OPTIONS":
        return Reply(200, b"", "", allowed)
    if request.method not in methods:
        raise Rejected(405, f"method {request.method} not allowed", allowed)
    _refuse_elsewhere(context, request)
    return methods[request.method](context, request, tail)


def _refuse_elsewhere(context: Context, request: Request) -> None:
    if request.has("stale") and request.has("consistent"):
        raise Rejected(400, "Cannot specify ?stale with ?consistent, conflicting semantics.")
    if request.get("dc", context.state.datacenter) not in ("", context.state.datacenter):
        raise Rejected(500, "No path to datacenter")


def _nth_slash(path: str, count: int) -> int:
    """Where the last slash among the first `count` is."""
    at = -1
    for _ in range(count):
        following = path.find("/", at + 1)
        if following < 0:
            break
        at = following
    return at
