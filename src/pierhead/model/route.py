"""What leads a request to a service: the document under `pier/routes/<name>` in the catalog's key-value store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.model import policy as policies
from pierhead.model.app import Protocol
from pierhead.model.policy import PLAIN, Policy

PREFIX = "pier/routes/"
REST = "*"
"""In weights: all releases together that are not named."""


@dataclass(frozen=True, slots=True)
class Route:
    """Requests for `hosts` and `paths`, or to `service_port` of a gateway, go to the instances of `service`."""

    name: str
    service: str
    protocol: Protocol = Protocol.HTTP
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("/",)
    service_port: int | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    """Release (`v3`) → weight 0…256; `*`: all together that are not named. Without it each of those has weight 100."""
    release: str = ""
    """Only the instances of this release; empty: all."""
    owner: str = ""
    """The cluster whose releases it leads to, and which keeps it; empty: a person wrote it."""
    policy: Policy = PLAIN
    """What is done with a request besides."""

    @property
    def key(self) -> str:
        return PREFIX + self.name


@dataclass(frozen=True, slots=True)
class Listed:
    """A route and what has come of it."""

    name: str
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    service_port: int | None
    protocol: str
    service: str
    state: str
    """`ready`, `no instance`, `maintenance`, `redirect`, `waiting` (not carried out yet), `refused` (`problem` says
    why), `unknown` (a gateway does not answer, or none lives)."""
    problem: str


def listed(route: Route, state: str, problem: str = "") -> Listed:
    return Listed(
        name=route.name,
        hosts=route.hosts,
        paths=route.paths,
        service_port=route.service_port,
        protocol=route.protocol.value,
        service=route.service,
        state=state,
        problem=problem,
    )


def document(route: Route) -> dict[str, Any]:
    """The JSON object that is stored; `read` is its inverse."""
    return {
        "service": route.service,
        "protocol": route.protocol.value,
        "hosts": list(route.hosts),
        "paths": list(route.paths),
        "service_port": route.service_port,
        "weights": dict(route.weights),
        **({"release": route.release} if route.release else {}),
        "owner": route.owner,
        **policies.document(route.policy),
    }


def read(name: str, value: Any) -> Route:
    """The route that a stored document describes. Raises: ValueError with the field and the reason."""
    if not isinstance(value, dict):
        raise ValueError("a route is a JSON object")  # noqa: TRY004
    unknown = value.keys() - FIELDS.keys()
    if unknown:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
    policy = policies.read(value)
    port = value.get("service_port")
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536):
        raise ValueError("service_port: must be a port number")
    weights = value.get("weights") or {}
    if not isinstance(weights, dict) or not all(isinstance(w, int) and 0 <= w <= 256 for w in weights.values()):
        raise ValueError("weights: release → 0…256")
    return Route(
        name=name,
        service=_service(value.get("service"), policy),
        protocol=_protocol(value.get("protocol") or "http"),
        hosts=_texts("hosts", value.get("hosts") or []),
        paths=_texts("paths", value.get("paths") or ["/"]),
        service_port=port,
        weights=weights,
        release=str(value.get("release") or ""),
        owner=str(value.get("owner") or ""),
        policy=policy,
    )


def _service(value: Any, policy: Policy) -> str:
    if policy.redirect and value in (None, ""):
        return ""
    if not isinstance(value, str) or not value:
        raise ValueError("service: must name a service of the catalog")
    return value


def _protocol(value: Any) -> Protocol:
    try:
        return Protocol(value)
    except ValueError:
        raise ValueError(f"protocol: {value!r} is none of {', '.join(Protocol)}") from None


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{name}: must be a list of texts")
    return tuple(value)


FIELDS: Mapping[str, tuple[str, str]] = {
    "service": ("text, needed without `redirect`", "The service of the catalog that requests are led to."),
    "protocol": (
        "`http`, `grpc` or `tcp`",
        "`http` and `grpc` (HTTP/2 to the instances) are found by name and path, `tcp` by a service port, or by the "
        "name in a TLS connection that the gateway passes on unopened. Default `http`.",
    ),
    "hosts": (
        "list of texts",
        "Names that lead here. `*.` in front matches every name below, at any depth; an exact name comes before a "
        "wildcard, a longer wildcard before a shorter one; `*` matches what nothing else does.",
    ),
    "paths": (
        "list of texts",
        "Paths that lead here, each with everything below it: `/api` and `/api/` are the same, match `/api`, `/api/` "
        "and `/api/x`, and not `/apix`. The longest that matches wins. Default `/`.",
    ),
    "service_port": ("whole number", "The port of every gateway that leads here, whatever the name and path."),
    "weights": (
        "mapping",
        "Release (`v3`) → its share of the requests, 0 to 256. `*` stands for all together that are not named; without "
        "it each of those has 100.",
    ),
    "release": ("text", "Only instances of this release: `v3`. Empty: all of the service."),
    "owner": ("text", "The cluster that keeps this route. Empty: a person does, and Pierhead leaves it alone."),
    **{name: (found.kind, found.text) for name, found in policies.FIELDS.items()},
}
"""Field of the document → its type and what it does."""


def markdown() -> str:
    """Every field of a route's document, for people."""
    lines = [
        "# Routes",
        "",
        "Generated from `src/pierhead/model/route.py`. A route is a JSON object under `pier/routes/<name>` in the",
        "catalog's key-value store. Unknown fields and wrong values are refused: the route is left out, `pier routes`",
        "says why, and the others live. Durations are written `30s`, `2m`, `1h30m`; sizes `10MiB` or as bytes.",
        "",
        *(f"- **{name}** ({kind}): {text}" for name, (kind, text) in FIELDS.items()),
    ]
    return "\n".join(lines) + "\n"
