"""Containers that Pierhead did not start: the SERVICE_* conventions that registrator made common. Pure.

    SERVICE_NAME, SERVICE_ID, SERVICE_TAGS, SERVICE_IGNORE, SERVICE_CHECK_…   for every port
    SERVICE_<port>_…                                                          for one port; wins
    SERVICE_<anything else>                                                   a key of the service's meta, in lower case

Environment first, then labels, so that a label replaces a variable. What is different on purpose: a published port is
registered with an address that leads to it on every network; digests are no part of names; tags keep their order; the
binding is chosen by rule, not by the engine's mood; a container that does not run, or has no network, has no endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pierhead.agent import address
from pierhead.agent.endpoint import CRITICAL, PASSING, SHORTEST, Endpoint, Kind, Node, Probe
from pierhead.kit import units
from pierhead.model.instance import Meta
from pierhead.wire.docker.containers import Container

_PREFIX = "SERVICE_"
_RESERVED = ("name", "id", "tags", "ignore")
_META_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_OWN = "pier-"
"""How the keys begin that only the agent writes."""
_META_VALUE_LIMIT = 512
_META_LIMIT = 50
"""A catalog takes 64 pairs; the agent adds its own."""
_STATUSES = (PASSING, "warning", CRITICAL)
_CHECKS = ("http", "https", "cmd", "script", "ttl", "tcp", "grpc")
"""In the order in which the first one with a value is taken."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a container says about one of its ports."""

    of_port: Mapping[str, str] = field(default_factory=dict)
    of_all: Mapping[str, str] = field(default_factory=dict)

    def get(self, key: str) -> str:
        return self.of_port.get(key) or self.of_all.get(key, "")

    def merged(self) -> dict[str, str]:
        return {**self.of_all, **self.of_port}


def endpoints(node: Node, container: Container) -> list[Endpoint]:
    """One for each published port that is not to be ignored."""
    said = words(container)
    ports = address.published(container)
    found = [_endpoint(node, container, port, said, is_one_of_many=len(ports) > 1) for port in ports]
    return [endpoint for endpoint in found if endpoint]


def words(container: Container) -> dict[str, str]:
    """Everything behind SERVICE_, keys in lower case."""
    said = {}
    variables = dict(pair.partition("=")[::2] for pair in container.env)
    for key, value in {**variables, **container.labels}.items():
        if key.startswith(_PREFIX):
            said[key.removeprefix(_PREFIX).lower()] = value
    return said


def of_port(said: Mapping[str, str], number: str) -> Words:
    """What is said for the port of that number, and what is said for every port."""
    mine, general = {}, {}
    for key, value in said.items():
        head, _, rest = key.partition("_")
        if not head.isdecimal():
            general[key] = value
        elif head == number and rest:
            mine[rest] = value
    return Words(mine, general)


def image_name(image: str) -> str:
    """The last part of an image's name, without tag and digest; empty for a bare id."""
    if image.startswith("sha256:"):
        return ""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def tags(text: str) -> list[str]:
    r"""The tags of a comma list, in their order; `\,` is a comma."""
    parts = (part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),", text))
    return [part for part in parts if part]


def _endpoint(
    node: Node, container: Container, port: str, said: Mapping[str, str], *, is_one_of_many: bool
) -> Endpoint | None:
    number, _, protocol = port.partition("/")
    mine = of_port(said, number)
    place = address.of(container, port, node.advertise, node.advertise_ipv6)
    if place is None or mine.get("ignore"):
        return None
    other = "" if protocol == "tcp" else protocol
    name = mine.get("name") or image_name(container.image) or container.name
    if is_one_of_many and not mine.of_port.get("name"):
        name = f"{name}-{number}"
    asked = Probe(Kind.NONE, decides=False) if other else probe(_placed(mine.merged(), place))
    return Endpoint(
        id=mine.get("id") or f"{node.name}:{container.name}:{number}" + (f":{other}" if other else ""),
        service=name,
        address=place.address,
        port=place.port,
        container_port=port,
        tags=(*tags(mine.get("tags")), *((other,) if other else ())),
        meta={**_meta(mine.merged()), **_own_meta(node, container, protocol)},
        probe=asked,
    )


def _own_meta(node: Node, container: Container, protocol: str) -> dict[str, str]:
    return {
        Meta.OWNER: node.id,
        Meta.KIND: "container",
        Meta.NODE: node.name,
        Meta.INSTANCE: container.id,
        Meta.PROTOCOL: protocol,
    }


def _meta(said: Mapping[str, str]) -> dict[str, str]:
    """What a catalog takes: a pair it would refuse must not keep the others out."""
    allowed = [
        (key, value[:_META_VALUE_LIMIT])
        for key, value in sorted(said.items())
        if key not in _RESERVED and _META_KEY.fullmatch(key) and not key.startswith(_OWN)
    ]
    return dict(allowed[:_META_LIMIT])


def probe(said: Mapping[str, str]) -> Probe:
    """The check that SERVICE_CHECK_… asks for; none: it passes while its container runs and is healthy."""
    kind = next((kind for kind in _CHECKS if said.get(f"check_{kind}")), "")
    if not kind:
        return Probe(Kind.NONE, decides=False)
    value = said[f"check_{kind}"]
    initial = said.get("check_initial_status", "")
    return Probe(
        kind=_kind(kind, said),
        path=value if kind in ("http", "https") else "/",
        method=said.get(f"check_{kind}_method") or "GET",
        command=("/bin/sh", "-c", value) if kind in ("cmd", "script") else (),
        interval=_duration(value if kind == "ttl" else said.get("check_interval", ""), timedelta(seconds=10)),
        timeout=_duration(said.get("check_timeout", ""), timedelta(seconds=5)),
        fall=1,
        initial=initial if initial in _STATUSES else CRITICAL,
    )


def _kind(check: str, said: Mapping[str, str]) -> Kind:
    if check in ("cmd", "script"):
        return Kind.COMMAND
    is_tls = said.get("check_grpc_use_tls", "").lower() in ("1", "t", "true")
    return Kind.GRPCS if check == "grpc" and is_tls else Kind(check)


def _placed(said: Mapping[str, str], place: address.Place) -> dict[str, str]:
    """Scripts may name the address and port that the endpoint is registered with."""
    words = {"$SERVICE_IP": place.address, "$SERVICE_PORT": str(place.port)}
    placed = dict(said)
    for key in ("check_cmd", "check_script"):
        for word, value in words.items():
            placed[key] = placed.get(key, "").replace(word, value)
    return placed


def _duration(text: str, default: timedelta) -> timedelta:
    try:
        return max(SHORTEST, units.duration(text)) if text else default
    except ValueError:
        return default
