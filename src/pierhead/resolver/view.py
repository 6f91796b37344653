"""What the resolver knows of the catalog. Pure; the same text on disk and in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.model import route as routes
from pierhead.model.route import Route


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a service, as its checks show it."""

    id: str
    node: str
    address: str
    """Its own; empty: its node's."""
    port: int
    tags: tuple[str, ...] = ()
    is_usable: bool = True
    """No check is critical, of itself or of its node: what Consul's own DNS answers."""
    app: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True)
class View:
    routes: Mapping[str, Route] = field(default_factory=dict)
    services: Mapping[str, tuple[Instance, ...]] = field(default_factory=dict)
    nodes: Mapping[str, str] = field(default_factory=dict)
    """Node → address."""
    datacenter: str = "dc1"

    @property
    def is_empty(self) -> bool:
        return not (self.routes or self.services or self.nodes)


def trusted(known: View, seen: View) -> View:
    """`seen`, except that what was there and is gone altogether is taken for unknown, and stays.

    A name that leads to a gateway without its app does less harm than no name for any app, and a catalog that was just
    started anew answers with nothing before it is filled again.
    """
    return View(
        routes=seen.routes or (known.routes if len(known.routes) > 1 else {}),
        services=seen.services or known.services,
        nodes=seen.nodes or known.nodes,
        datacenter=seen.datacenter,
    )


def text(view: View) -> str:
    """The view as JSON; `read` is its inverse."""
    value = {
        "routes": {name: routes.document(route) for name, route in view.routes.items()},
        "services": {name: [_row(instance) for instance in found] for name, found in view.services.items()},
        "nodes": dict(view.nodes),
        "datacenter": view.datacenter,
    }
    return json.dumps(value, separators=(",", ":"))


def read(text: str) -> View:
    """The view that `text` is. Raises: ValueError."""
    try:
        value = json.loads(text)
        return View(
            routes={name: routes.read(name, document) for name, document in value["routes"].items()},
            services={name: tuple(_instance(row) for row in rows) for name, rows in value["services"].items()},
            nodes={str(name): str(address) for name, address in value["nodes"].items()},
            datacenter=str(value["datacenter"]),
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"not a view: {error!r}") from error


def _row(instance: Instance) -> list[Any]:
    return [
        instance.id,
        instance.node,
        instance.address,
        instance.port,
        list(instance.tags),
        instance.is_usable,
        instance.app,
        instance.environment,
    ]


def _instance(row: list[Any]) -> Instance:
    id_, node, address, port, tags, is_usable, app, environment = row
    return Instance(id_, node, address, port, tuple(tags), is_usable, app, environment)
