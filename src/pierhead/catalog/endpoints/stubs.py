"""What a single server has nothing to say about, answered as a real one would that does not use it."""

from __future__ import annotations

from pierhead.catalog import reply
from pierhead.catalog.endpoints.context import VERSION, Context
from pierhead.catalog.reply import Outcome, Rejected, Reply, Watch
from pierhead.catalog.request import Request

_CONFIG_KINDS = (
    "ingress-gateway",
    "proxy-defaults",
    "service-defaults",
    "service-resolver",
    "service-router",
    "service-splitter",
    "terminating-gateway",
)


def root(context: Context, request: Request, tail: str) -> Outcome:
    return Reply(200, b"Consul Agent", reply.TEXT)


def leader(context: Context, request: Request, tail: str) -> Outcome:
    return reply.of(f"{context.address}:{context.port}")


def peers(context: Context, request: Request, tail: str) -> Outcome:
    return reply.of([f"{context.address}:{context.port}"])


def empty(context: Context, request: Request, tail: str) -> Outcome:
    """A list that nothing is ever added to."""
    return Watch(1, (), lambda: reply.of([]))


def nothing(context: Context, request: Request, tail: str) -> Outcome:
    """What real servers answer with null where there is nothing."""
    return Watch(1, (), lambda: reply.of(None))


def areas(context: Context, request: Request, tail: str) -> Outcome:
    return reply.of([])


def config(context: Context, request: Request, tail: str) -> Outcome:
    kind, _, name = tail.partition("/")
    if kind not in _CONFIG_KINDS:
        raise Rejected(400, f"invalid config entry kind: {kind}")
    if name:
        raise Rejected(404, f'Config entry not found for "{kind}" / "{name}"')
    return empty(context, request, tail)


def intentions(context: Context, request: Request, tail: str) -> Outcome:
    return reply.of(dict.fromkeys(request.query.get("name", ())))


def no_query(context: Context, request: Request, tail: str) -> Outcome:
    raise Rejected(404, "Query not found")


def coordinates(context: Context, request: Request, tail: str) -> Outcome:
    """Where the server's own node is, among which there is no distance; of all other nodes nothing is known."""
    if tail not in ("", context.node):
        return Watch(1, (), lambda: Reply(404))
    here = {"Vec": [0] * 8, "Error": 1.5, "Adjustment": 0, "Height": 0.00001}
    found = [{"Node": context.node, "Segment": "", "Coord": here}] if context.access.reads("node", context.node) else []
    return Watch(1, (), lambda: reply.of(found))


def no_acl(context: Context, request: Request, tail: str) -> Outcome:
    raise Rejected(401, "ACL support disabled")


def no_connect(context: Context, request: Request, tail: str) -> Outcome:
    raise Rejected(500, "Connect must be enabled in order to use this endpoint")


def raft(context: Context, request: Request, tail: str) -> Outcome:
    context.access.require_read("operator")
    server = {
        "ID": context.node_id,
        "Node": context.node,
        "Address": f"{context.address}:{context.port}",
        "Leader": True,
        "ProtocolVersion": "3",
        "Voter": True,
    }
    return reply.of({"Servers": [server], "Index": context.state.ledger.index})


def autopilot_settings(context: Context, request: Request, tail: str) -> Outcome:
    context.access.require_read("operator")
    return reply.of(
        {
            "CleanupDeadServers": True,
            "LastContactThreshold": "200ms",
            "MaxTrailingLogs": 250,
            "MinQuorum": 0,
            "ServerStabilizationTime": "10s",
            "RedundancyZoneTag": "",
            "DisableUpgradeMigration": False,
            "UpgradeVersionTag": "",
            "CreateIndex": 1,
            "ModifyIndex": 1,
        }
    )


def autopilot(context: Context, request: Request, tail: str) -> Outcome:
    context.access.require_read("operator")
    server = {
        "ID": context.node_id,
        "Name": context.node,
        "Address": f"{context.address}:{context.port}",
        "SerfStatus": "alive",
        "Version": VERSION,
        "Leader": True,
        "LastContact": "0s",
        "LastIndex": context.state.ledger.index,
        "Healthy": True,
        "Voter": True,
    }
    return reply.of({"Healthy": True, "FailureTolerance": 0, "Servers": [server]})
