"""What Consul answers with, as frozen dataclasses; `read_*` take the decoded JSON and accept 1.8 and newer alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PASSING, WARNING, CRITICAL = "passing", "warning", "critical"


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    address: str
    id: str = ""
    datacenter: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """One instance of a service."""

    id: str
    name: str
    address: str
    """Empty: the node's address holds."""
    port: int
    tags: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1
    """While it passes; 1 where nobody said otherwise."""


@dataclass(frozen=True, slots=True)
class Check:
    id: str
    name: str
    status: str
    """`passing`, `warning` or `critical`; node and service maintenance show as critical checks of their own."""
    node: str = ""
    output: str = ""
    notes: str = ""
    service_id: str = ""
    """Empty for a check of the node."""
    service: str = ""
    service_tags: tuple[str, ...] = ()
    modify_index: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance where it runs. `checks` holds its own checks and those of its node."""

    node: Node
    service: Service
    checks: tuple[Check, ...] = ()

    @property
    def address(self) -> str:
        """Where it is reached: its own address, or else its node's."""
        return self.service.address or self.node.address


def read_node(value: Mapping[str, Any]) -> Node:
    """From `Node` of health, an element of catalog/nodes, or the flat catalog/service."""
    return Node(
        name=value["Node"],
        address=value.get("Address") or "",
        id=value.get("ID") or "",
        datacenter=value.get("Datacenter") or "",
        meta=value.get("Meta", value.get("NodeMeta")) or {},
    )


def read_service(value: Mapping[str, Any]) -> Service:
    """From `Service` of health or an entry of agent/services."""
    return Service(
        id=value["ID"],
        name=value["Service"],
        address=value.get("Address") or "",
        port=value.get("Port") or 0,
        tags=tuple(value.get("Tags") or ()),
        meta=value.get("Meta") or {},
        weight=(value.get("Weights") or {}).get("Passing", 1),
    )


def read_flat(value: Mapping[str, Any]) -> Entry:
    """From an element of catalog/service, where the service's fields carry a prefix."""
    service = Service(
        id=value["ServiceID"],
        name=value["ServiceName"],
        address=value.get("ServiceAddress") or "",
        port=value.get("ServicePort") or 0,
        tags=tuple(value.get("ServiceTags") or ()),
        meta=value.get("ServiceMeta") or {},
    )
    node = {key: part for key, part in value.items() if key != "Meta"}
    return Entry(read_node(node), service)


def read_check(value: Mapping[str, Any]) -> Check:
    return Check(
        id=value["CheckID"],
        name=value.get("Name") or "",
        status=value["Status"],
        node=value.get("Node") or "",
        output=value.get("Output") or "",
        notes=value.get("Notes") or "",
        service_id=value.get("ServiceID") or "",
        service=value.get("ServiceName") or "",
        service_tags=tuple(value.get("ServiceTags") or ()),
        modify_index=value.get("ModifyIndex") or 0,
    )


def read_entry(value: Mapping[str, Any]) -> Entry:
    """From an element of health/service."""
    checks = tuple(read_check(check) for check in value.get("Checks") or ())
    return Entry(read_node(value["Node"]), read_service(value["Service"]), checks)
