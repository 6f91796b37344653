"""Rows in the shapes of Consul 1.8's answers, with the fields that newer clients look for. Pure."""

from __future__ import annotations

from typing import Any

from pierhead.catalog.records import Check, Node, Pair, Service, Session
from pierhead.catalog.state import State

_PROXY: dict[str, Any] = {"MeshGateway": {}, "Expose": {}}
_CONNECT: dict[str, Any] = {}

Shape = dict[str, Any]


def node(row: Node, datacenter: str) -> Shape:
    return {
        "ID": row.id,
        "Node": row.name,
        "Address": row.address,
        "Datacenter": datacenter,
        "TaggedAddresses": row.tagged_addresses,
        "Meta": row.meta,
        "CreateIndex": row.create,
        "ModifyIndex": row.modify,
    }


def service(row: Service) -> Shape:
    """The `Service` of health, and the values of catalog/node."""
    return {
        "ID": row.id,
        "Service": row.name,
        "Tags": row.tags or (),
        "Address": row.address,
        **_tagged(row.tagged_addresses, "TaggedAddresses"),
        "Meta": row.meta,
        "Port": row.port,
        "Weights": weights(row),
        "EnableTagOverride": row.enable_tag_override,
        "Proxy": _PROXY,
        "Connect": _CONNECT,
        "CreateIndex": row.create,
        "ModifyIndex": row.modify,
    }


def flat_service(row: Service, on: Node, datacenter: str) -> Shape:
    """An element of catalog/service."""
    return {
        "ID": on.id,
        "Node": on.name,
        "Address": on.address,
        "Datacenter": datacenter,
        "TaggedAddresses": on.tagged_addresses,
        "NodeMeta": on.meta or {},
        "ServiceKind": "",
        "ServiceID": row.id,
        "ServiceName": row.name,
        "ServiceTags": row.tags or (),
        "ServiceAddress": row.address,
        **_tagged(row.tagged_addresses, "ServiceTaggedAddresses"),
        "ServiceWeights": weights(row),
        "ServiceMeta": row.meta or {},
        "ServicePort": row.port,
        "ServiceEnableTagOverride": row.enable_tag_override,
        "ServiceProxy": _PROXY,
        "ServiceConnect": _CONNECT,
        "CreateIndex": row.create,
        "ModifyIndex": row.modify,
    }


def agent_service(row: Service, datacenter: str) -> Shape:
    """A value of agent/services."""
    return {
        "ID": row.id,
        "Service": row.name,
        "Tags": list(row.tags or ()),
        "Meta": row.meta or {},
        "Port": row.port,
        "Address": row.address,
        **_tagged(row.tagged_addresses, "TaggedAddresses"),
        "Weights": weights(row),
        "EnableTagOverride": row.enable_tag_override,
        "Datacenter": datacenter,
    }


def check(row: Check, of: Service | None) -> Shape:
    return {
        "Node": row.node,
        "CheckID": row.id,
        "Name": row.name,
        "Status": row.status,
        "Notes": row.notes,
        "Output": row.output,
        "ServiceID": row.service_id,
        "ServiceName": of.name if of else "",
        "ServiceTags": (of.tags or ()) if of else (),
        "Type": row.kind,
        "Definition": row.definition.get("shown", {}),
        "CreateIndex": row.create,
        "ModifyIndex": row.modify,
    }


def entry(state: State, row: Service) -> Shape:
    """An element of health/service."""
    on = state.node(row.node)
    return {
        "Node": node(on, state.datacenter) if on else None,
        "Service": service(row),
        "Checks": [check(each, None) for each in state.checks(row.node, "")]
        + [check(each, row) for each in state.checks(row.node, row.id)],
    }


def pair(row: Pair, *, with_value: bool = True) -> Shape:
    shape: Shape = {
        "LockIndex": row.lock_index,
        "Key": row.name,
        "Flags": row.flags,
        "Value": (row.value or None) if with_value else None,
    }
    if row.session:
        shape["Session"] = row.session
    return {**shape, "CreateIndex": row.create, "ModifyIndex": row.modify}


def session(row: Session) -> Shape:
    return {
        "ID": row.id,
        "Name": row.name,
        "Node": row.node,
        "LockDelay": row.lock_delay_ns,
        "Behavior": row.behavior,
        "TTL": row.ttl,
        "NodeChecks": list(row.node_checks),
        "ServiceChecks": list(row.service_checks) if row.service_checks is not None else None,
        "CreateIndex": row.create,
        "ModifyIndex": row.modify,
    }


def weights(row: Service) -> Shape:
    return {"Passing": row.weights[0], "Warning": row.weights[1]}


def _tagged(addresses: Any, name: str) -> Shape:
    return {name: addresses} if addresses else {}
