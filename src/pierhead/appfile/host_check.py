"""What the fields of a host service mean together. Pure; reads the raw data, so that it can tell what it finds although
other fields are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pierhead.appfile import host_schema
from pierhead.appfile.document import Fault, Path

KINDS = ("http", "https", "tcp", "grpc", "command", "ttl")
_WITH_ROUTES = ("http", "grpc")


def check(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Every fault that no field has alone."""
    services = _mapping(data.get("services"))
    for name, service in services.items():
        if isinstance(service, dict):
            path: Path = ("services", name)
            yield from _identity(path, service)
            yield from _route(path, service)
            yield from _meta(path, service)
            if isinstance(asked := service.get("check"), dict):
                yield from _check((*path, "check"), asked)
    yield from _places(services)


def _identity(path: Path, service: Mapping[str, Any]) -> Iterator[Fault]:
    for key, other in (("app", "environment"), ("environment", "app"), ("release", "app"), ("port_name", "app")):
        if key in service and other not in service:
            yield Fault((*path, key), f"needs {other}", f"give {other} too, or leave {key} out")


def _route(path: Path, service: Mapping[str, Any]) -> Iterator[Fault]:
    protocol = service.get("protocol", "http")
    if "route" in service and protocol in ("tcp", "dubbo"):
        yield Fault((*path, "route"), f"{protocol} has no host names", "leave protocol out, or write `protocol: http`")


def _meta(path: Path, service: Mapping[str, Any]) -> Iterator[Fault]:
    meta = _mapping(service.get("meta"))
    if len(meta) > host_schema.MOST_META:
        yield Fault((*path, "meta"), f"has more than {host_schema.MOST_META} pairs")
    if "route" in meta:
        yield Fault((*path, "meta", "route"), "is a field of its own", "write `route:` beside `meta:`")


def _check(path: Path, asked: Mapping[str, Any]) -> Iterator[Fault]:
    kinds = [kind for kind in KINDS if kind in asked]
    if len(kinds) != 1:
        said = f"{' and '.join(kinds)} exclude each other" if kinds else "does not say how"
        yield Fault(path, said, f"give one of {', '.join(KINDS)}, or write `check: none`")
    if "method" in asked and not {"http", "https"}.intersection(kinds):
        yield Fault((*path, "method"), "belongs to http and https")
    if kinds == ["ttl"]:
        for key in ("interval", "timeout", "rise", "fall"):
            if key in asked:
                yield Fault((*path, key), "has no meaning with ttl", "nobody is asked")


def _places(services: Mapping[str, Any]) -> Iterator[Fault]:
    seen: dict[tuple[str, str, int], str] = {}
    for name, service in services.items():
        port = service.get("port") if isinstance(service, dict) else None
        if not isinstance(port, int):
            continue
        called = str(service.get("service") or service.get("app") or name)
        place = (called, str(service.get("address") or ""), port)
        if place in seen:
            yield Fault(("services", name, "port"), f"{port} is {seen[place]}'s already, in the same service")
        seen.setdefault(place, name)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
