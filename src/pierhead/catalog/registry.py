"""What belongs together in the registry: a service and its checks, a node and all that is on it, maintenance. Pure."""

from __future__ import annotations

from pierhead.catalog import locks
from pierhead.catalog.records import CRITICAL, MAINTENANCE, PASSING, Check, Node, Service
from pierhead.catalog.state import State

NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE = "_service_maintenance:"
ALIVE = "serfHealth"
SERVER = "consul"
"""Id and name of the service by which a server shows itself."""

_NO_REASON = "Maintenance mode is enabled for this {}, but no reason was provided. This is a default message."


def drop_service(state: State, node: str, service_id: str) -> None:
    """The service is not there, nor are its checks."""
    for check in state.checks(node, service_id):
        drop_check(state, check)
    if service := state.service(node, service_id):
        state.drop(service)


def drop_check(state: State, check: Check) -> None:
    """The check is not there; sessions that rest on it have ended."""
    locks.end_with(state, check)
    state.drop(check)


def drop_node(state: State, node: Node) -> None:
    """The node is not there, nor is anything on it."""
    for service in state.services_on(node.name):
        drop_service(state, node.name, service.id)
    for check in state.checks_on(node.name):
        drop_check(state, check)
    locks.end_on(state, node.name)
    state.drop(node)


def hold_service(state: State, service: Service, reason: str) -> None:
    """The service carries a critical check that says why; an earlier one stays as it is."""
    check_id = SERVICE_MAINTENANCE + service.id
    if state.check(service.node, check_id) is None:
        notes = reason or _NO_REASON.format("service")
        name = "Service Maintenance Mode"
        state.put(Check(service.node, check_id, name, CRITICAL, notes, "", service.id, MAINTENANCE))


def release_service(state: State, service: Service) -> None:
    """The service carries no such check."""
    if check := state.check(service.node, SERVICE_MAINTENANCE + service.id):
        drop_check(state, check)


def hold_node(state: State, node: str, reason: str) -> None:
    """The node carries a critical check that says why; an earlier one stays as it is."""
    if state.check(node, NODE_MAINTENANCE) is None:
        notes = reason or _NO_REASON.format("node")
        state.put(Check(node, NODE_MAINTENANCE, "Node Maintenance Mode", CRITICAL, notes, "", "", MAINTENANCE))


def release_node(state: State, node: str) -> None:
    """The node carries no such check."""
    if check := state.check(node, NODE_MAINTENANCE):
        drop_check(state, check)


def found_node(state: State, node: Node, port: int) -> None:
    """The server's own node is there, alive, with the service by which servers show themselves."""
    state.put(node)
    state.put(Service(node.name, SERVER, SERVER, port=port))
    state.put(Check(node.name, ALIVE, "Serf Health Status", PASSING, output="Agent alive and reachable"))
