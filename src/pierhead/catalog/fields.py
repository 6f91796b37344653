"""What a filter may ask of each answer: its fields with their kinds, as Consul 1.8 knows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXT, NUMBER, FLAG = "text", "number", "flag"

_TEXT_OPERATORS = ("Equal", "Not Equal", "In", "Not In", "Matches", "Not Matches")
_COLLECTION_OPERATORS = ("In", "Not In", "Is Empty", "Is Not Empty")
_PLAIN_OPERATORS = ("Equal", "Not Equal")


@dataclass(frozen=True, slots=True, eq=False)
class Struct:
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class MapOf:
    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class ListOf:
    item: Any


class Unfit(Exception):
    """The expression does not fit the fields."""


def kind(of: Any, path: tuple[str, ...]) -> Any:
    """The kind of the field that the path leads to. Raises: Unfit."""
    for count, name in enumerate(path, 1):
        inner = of.item if isinstance(of, ListOf) else of
        if isinstance(inner, MapOf):
            of = inner.value
        elif isinstance(inner, Struct) and name in inner.fields:
            of = inner.fields[name]
        else:
            raise Unfit(f'Selector "{".".join(path[:count])}" is not valid')
    return of


def operators(of: Any) -> tuple[str, ...]:
    """What can be asked of a field of that kind."""
    if isinstance(of, MapOf):
        return _COLLECTION_OPERATORS
    if isinstance(of, ListOf):
        return ("Is Empty", "Is Not Empty") if isinstance(of.item, Struct) else _COLLECTION_OPERATORS
    return {TEXT: _TEXT_OPERATORS, NUMBER: _PLAIN_OPERATORS, FLAG: _PLAIN_OPERATORS}.get(of, ())


def default(of: Any) -> Any:
    """What a field of that kind is where the answer leaves it out."""
    return {TEXT: "", NUMBER: 0, FLAG: False}.get(of) if isinstance(of, str) else None


_ADDRESSES = MapOf(Struct({"Address": TEXT, "Port": NUMBER}))
_WEIGHTS = Struct({"Passing": NUMBER, "Warning": NUMBER})
_PROXY = Struct(
    {
        "DestinationServiceName": TEXT,
        "DestinationServiceID": TEXT,
        "LocalServiceAddress": TEXT,
        "LocalServicePort": NUMBER,
        "MeshGateway": Struct({"Mode": TEXT}),
    }
)
_CONNECT = Struct({"Native": FLAG})

NODE = Struct(
    {
        "ID": TEXT,
        "Node": TEXT,
        "Address": TEXT,
        "Datacenter": TEXT,
        "TaggedAddresses": MapOf(TEXT),
        "Meta": MapOf(TEXT),
    }
)

SERVICE = Struct(
    {
        "Kind": TEXT,
        "ID": TEXT,
        "Service": TEXT,
        "Tags": ListOf(TEXT),
        "Address": TEXT,
        "TaggedAddresses": _ADDRESSES,
        "Meta": MapOf(TEXT),
        "Port": NUMBER,
        "Weights": _WEIGHTS,
        "EnableTagOverride": FLAG,
        "Proxy": _PROXY,
        "Connect": _CONNECT,
    }
)

FLAT_SERVICE = Struct(
    {
        **{name: NODE.fields[name] for name in ("ID", "Node", "Address", "Datacenter", "TaggedAddresses")},
        "NodeMeta": MapOf(TEXT),
        **{f"Service{name}": of for name, of in SERVICE.fields.items() if name != "Service"},
        "ServiceName": TEXT,
    }
)

CHECK = Struct(
    {
        **dict.fromkeys(("Node", "CheckID", "Name", "Status", "Notes", "Output", "ServiceID", "ServiceName"), TEXT),
        "ServiceTags": ListOf(TEXT),
        "Type": TEXT,
    }
)

ENTRY = Struct({"Node": NODE, "Service": SERVICE, "Checks": ListOf(CHECK)})
