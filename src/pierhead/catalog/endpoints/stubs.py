"""What a single server has nothing to say about, answered as a real one would that does not use it."""

from __future__ import annotations

from pierhead.catalog import reply
from pierhead.catalog.endpoints.context import VERSION, Context
from pierhead.catalog.reply import Outcome, Rejected, Reply
from pierhead.catalog.request import Request


def root(context: Context, request: Request, tail: str) -> Outcome:
    return Reply(200, b"Consul Agent", reply.TEXT)


def leader(context: Context, request: Request, tail: str) -> Outcome:
    return reply.of(f"{context.address}:{context.port}")


def peers(context: Context, request: Request, tail: str) -> Outcome:
    return reply.of([f"{context.address}:{context.port}"])


def empty(context: Context, request: Request, tail: str) -> Outcome:
    return Reply(200, b"[]", reply.JSON, (("X-Consul-Index", "1"),))


def absent(context: Context, request: Request, tail: str) -> Outcome:
    return Reply(404)


def no_acl(context: Context, request: Request, tail: str) -> Outcome:
    raise Rejected(401, "ACL support disabled")


def no_connect(context: Context, request: Request, tail: str) -> Outcome:
    raise Rejected(500, "Connect must be enabled in order to use this endpoint")


def raft(context: Context, request: Request, tail: str) -> Outcome:
    server = {
        "ID": context.node_id,
        "Node": context.node,
        "Address": f"{context.address}:{context.port}",
        "Leader": True,
        "ProtocolVersion": "3",
        "Voter": True,
    }
    return reply.of({"Servers": [server], "Index": context.state.ledger.index})


def autopilot(context: Context, request: Request, tail: str) -> Outcome:
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
