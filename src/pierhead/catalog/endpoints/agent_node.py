"""The server's own node: what it is, who its members are (itself), its maintenance. Source: Consul HTTP API, Agent."""

from __future__ import annotations

from typing import Any

from pierhead.catalog import registry, reply
from pierhead.catalog.endpoints import agent_services
from pierhead.catalog.endpoints import context as endpoint
from pierhead.catalog.endpoints.context import VERSION, Context
from pierhead.catalog.reply import Outcome, Rejected
from pierhead.catalog.request import Request


def self_(context: Context, request: Request, tail: str) -> Outcome:
    context.access.require_read("agent", context.node)
    return reply.of(
        {
            "Config": {
                "Datacenter": context.state.datacenter,
                "PrimaryDatacenter": context.state.datacenter,
                "NodeName": context.node,
                "NodeID": context.node_id,
                "Revision": "",
                "Server": True,
                "Version": VERSION,
            },
            "DebugConfig": {"Datacenter": context.state.datacenter, "NodeName": context.node, "ServerMode": True},
            "Coord": {"Vec": [0] * 8, "Error": 1.5, "Adjustment": 0, "Height": 0.00001},
            "Member": _member(context),
            "Stats": _stats(context),
            "Meta": {"consul-network-segment": ""},
        }
    )


def members(context: Context, request: Request, tail: str) -> Outcome:
    is_seen = context.access.reads("node", context.node) and not request.flag("wan")
    return reply.of([_member(context)] if is_seen else [])


def maintenance(context: Context, request: Request, tail: str) -> Outcome:
    enable = agent_services.is_enabled(request)
    context.access.require_write("node", context.node)
    if enable:
        registry.hold_node(context.state, context.node, request.get("reason"))
    else:
        registry.release_node(context.state, context.node)
    return endpoint.done()


def reload(context: Context, request: Request, tail: str) -> Outcome:
    """There is no configuration to read again."""
    context.access.require_write("agent", context.node)
    return endpoint.done()


def refuse_cluster(context: Context, request: Request, tail: str) -> Outcome:
    context.access.require_write("operator")
    raise Rejected(400, "This catalog is one server: it has no members to join, leave or remove")


def _member(context: Context) -> dict[str, Any]:
    tags = {
        "acls": "0",
        "bootstrap": "1",
        "build": f"{VERSION}:",
        "dc": context.state.datacenter,
        "id": context.node_id,
        "port": str(context.port),
        "role": "consul",
        "segment": "",
        "vsn": "2",
    }
    return {
        "Name": context.node,
        "Addr": context.address,
        "Port": context.port,
        "Tags": tags,
        "Status": 1,
        "ProtocolMin": 1,
        "ProtocolMax": 5,
        "ProtocolCur": 2,
        "DelegateMin": 2,
        "DelegateMax": 5,
        "DelegateCur": 4,
    }


def _stats(context: Context) -> dict[str, Any]:
    leader = f"{context.address}:{context.port}"
    index = str(context.state.ledger.index)
    return {
        "agent": {
            "checks": str(len(context.state.checks_on(context.node))),
            "services": str(len(context.state.services_on(context.node))),
        },
        "build": {"prerelease": "", "revision": "", "version": VERSION},
        "consul": {"bootstrap": "true", "leader": "true", "leader_addr": leader, "server": "true"},
        "raft": {"applied_index": index, "commit_index": index, "num_peers": "0", "state": "Leader"},
    }
