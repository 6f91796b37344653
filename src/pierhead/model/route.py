"""What leads a request to a service: the document under `pier/routes/<name>` in the catalog's key-value store."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pierhead.kit.errors import Problem
from pierhead.model import policy as policies
from pierhead.model.app import Protocol
from pierhead.model.policy import PLAIN, Policy

PREFIX = "pier/routes/"
WITH_HOSTS = (Protocol.HTTP, Protocol.GRPC)
REST = "*"
"""In weights: all releases together that are not named."""


NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_NAME_HINT = "use lower-case letters, digits, `.`, `_` and `-`"
_SERVICE = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_HOST = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_OF_CONNECTIONS = ("balance", "connect_timeout", "idle_timeout")
"""What of a policy concerns a plain TCP connection too."""


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


def sites(route: Route) -> list[str]:
    """`host/path/` of every place that it asks for."""
    if route.protocol not in WITH_HOSTS:
        return []
    return [f"{host.lower()}{path.rstrip('/')}/" for host in route.hosts for path in route.paths]


def names(route: Route) -> list[str]:
    """Names by which a TLS connection is passed on unopened."""
    return [host.lower() for host in route.hosts] if route.protocol == Protocol.TCP else []


def places(route: Route) -> set[str]:
    """Everything that can lead to one route alone, in words."""
    tls = (f"the TLS name {name}" for name in names(route))
    return {*sites(route), *tls, *([f"port {route.service_port}"] if route.service_port else [])}


def problems(name: str, value: Mapping[str, Any]) -> list[Problem]:
    """All that is wrong with a document that somebody wants to store under that name; nothing: it can be carried out,
    unless another route has its place."""
    found = [] if NAME.fullmatch(name) else [Problem("name", f"{name!r} cannot be a route's name", _NAME_HINT)]
    found += [Problem(key, "there is no such field", _nearest(key)) for key in value if key not in FIELDS]
    found += [problem for key in value if key in FIELDS for problem in _of_field(key, value[key])]
    if found:
        return found
    try:
        route = read(name, value)
    except ValueError as error:
        place, _, reason = str(error).partition(": ")
        return [Problem(place, reason, "`redirect` alone needs none")]
    return [Problem(place, reason) for place, reason in faults(route)]


def _of_field(key: str, value: Any) -> Iterator[Problem]:
    """What is wrong with one field, whatever the others say."""
    try:
        read("", {"service": "any", key: value})
    except ValueError as error:
        yield Problem(key, str(error).removeprefix(f"{key}: "))


def _nearest(key: str) -> str:
    found = difflib.get_close_matches(key, FIELDS, 1)
    return f"did you mean {found[0]}?" if found else "`docs/reference/routes.md` lists them"


def faults(route: Route) -> Iterator[tuple[str, str]]:
    """Field → why no gateway can carry out the route, whatever other routes there are."""
    if route.service and not _SERVICE.fullmatch(route.service):
        yield "service", f"{route.service!r} cannot be a service's name"
    if route.protocol == Protocol.GRPC and route.policy.body_limit:
        yield "body_limit", "grpc does not say how large a message is: body_limit cannot be set"
    if route.protocol not in WITH_HOSTS:
        needless = sorted(policies.document(route.policy).keys() - set(_OF_CONNECTIONS))
        yield from ((name, f"{route.protocol} carries no HTTP: {name} cannot be set") for name in needless)
        if route.policy.balance not in ("roundrobin", "leastconn", "source"):
            yield "balance", f"{route.protocol} carries no HTTP: balance can be roundrobin, leastconn or source"
    if not route.hosts and not route.service_port:
        yield "hosts", "neither hosts nor a service_port lead to it"
    yield from (("hosts", f"{host!r} is no host name") for host in route.hosts if not _HOST.fullmatch(host.lower()))
    yield from (("paths", f"{path!r} is no path") for path in route.paths if not policies.PATH.fullmatch(path))


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
