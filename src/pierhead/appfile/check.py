"""What the fields of an app file mean together. Pure; reads the raw data, so that it can tell what it finds although
other fields are wrong."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pierhead.appfile.document import Fault, Path
from pierhead.kit import units

_LONGEST_TOGETHER = 52
"""`<app>-<environment>-v<number>` is an engine service's name: at most 63 characters."""
_PORT_NUMBER = 6
"""With `mode: same` an engine service's name ends in `-<host port>`."""
_LONGEST_SERVICE = 63
"""`<app>-<environment>-<port>` is a DNS label."""

_ONLY_HTTP = (
    "rewrite",
    "https",
    "hsts",
    "redirect_hosts",
    "redirect_code",
    "sticky",
    "response_timeout",
    "body_limit",
    "http2",
)
_OF_CONNECTIONS = ("balance", "connect_timeout", "idle_timeout")


def check(data: Mapping[str, Any], environment: str = "") -> Iterator[Fault]:
    """Every fault that no field has alone. `data` is the whole file, or an environment's with its overlay applied."""
    ports = {name: port for name, port in _mapping(data.get("ports")).items() if isinstance(port, dict)}
    yield from _numbers(ports, "port", "container port")
    yield from _numbers(ports, "service_port", "service port")
    yield from _addresses(ports)
    for name, port in ports.items():
        yield from _protocol(("ports", name), port)
    yield from _health(data.get("health"), list(_mapping(data.get("ports"))), ports)
    yield from _volumes(data.get("volumes"))
    yield from _build(_mapping(data.get("build")))
    yield from _deploy(_mapping(data.get("deploy")), ports)
    yield from _twice(("secrets",), data.get("secrets"))
    yield from _variables(_mapping(data.get("env")), _mapping(data.get("secret_env")))
    yield from _resources(_mapping(data.get("resources")))
    yield from _lengths(data.get("app"), environment, ports)


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean …?`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else ""


def _numbers(ports: Mapping[str, Any], key: str, what: str) -> Iterator[Fault]:
    seen: dict[int, str] = {}
    for name, port in ports.items():
        number = port.get(key)
        if isinstance(number, int) and number in seen:
            yield Fault(("ports", name, key), f"{what} {number} is already that of {seen[number]}")
        elif isinstance(number, int):
            seen[number] = name


def _addresses(ports: Mapping[str, Any]) -> Iterator[Fault]:
    seen: dict[tuple[str, str], str] = {}
    for name, port in ports.items():
        for position, host in enumerate(_texts(port.get("hosts"))):
            for path in _texts(port.get("paths", ["/"])):
                address = (host.lower(), path)
                if seen.setdefault(address, name) != name:
                    reason = f"{host}{path} already leads to {seen[address]}"
                    yield Fault(("ports", name, "hosts", position), reason)


def _protocol(path: Path, port: Mapping[str, Any]) -> Iterator[Fault]:
    protocol = port.get("protocol", "http")
    if protocol in ("tcp", "dubbo"):
        for key in ("paths",) if protocol == "tcp" else ("hosts", "paths"):
            if port.get(key):
                reason = f"{protocol} is not found by name: {key} need protocol http or grpc"
                yield Fault((*path, key), reason, "use service_port" if protocol == "tcp" else "")
        for key in _ONLY_HTTP if protocol == "tcp" else (*_ONLY_HTTP, *_OF_CONNECTIONS):
            if port.get(key):
                yield Fault((*path, key), f"{protocol} carries no HTTP, and {key} is about HTTP")
        if protocol == "tcp" and port.get("balance", "roundrobin") not in ("roundrobin", "leastconn", "source"):
            yield Fault((*path, "balance"), "tcp carries no HTTP: only roundrobin, leastconn and source")
    if protocol == "grpc" and port.get("body_limit"):
        yield Fault((*path, "body_limit"), "grpc does not say how large a message is")
    if protocol == "dubbo" and port.get("service_port") is not None:
        yield Fault((*path, "service_port"), "dubbo is never led through a gateway")


def _health(health: Any, names: Sequence[str], ports: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(health, dict):
        return
    given = [key for key in ("http", "tcp", "port") if health.get(key) is not None]
    if "http" in given and "tcp" in given:
        yield Fault(("health", "tcp"), "http and tcp exclude each other", "an overlay removes one with `http: null`")
    elif "http" not in given and "tcp" not in given and not names:
        yield Fault(("health",), "there is no port to probe", "write `health: none`")
    if "port" in given and "http" not in given:
        yield Fault(("health", "port"), "belongs to http", "write `tcp: <port name>`" if "tcp" not in given else "")
    for key in ("tcp", "port"):
        name = health.get(key)
        if isinstance(name, str) and name not in names:
            yield Fault(("health", key), f"there is no port {name!r}", nearest(name, names) or _listed(names))
    speaks_http = any(_mapping(ports.get(name)).get("protocol", "http") == "http" for name in names)
    if "http" in given and "port" not in given and not speaks_http:
        yield Fault(("health", "http"), "no port speaks HTTP", "write `tcp: <port name>`")


def _volumes(volumes: Any) -> Iterator[Fault]:
    seen: set[str] = set()
    for position, volume in enumerate(volumes if isinstance(volumes, list) else []):
        if not isinstance(volume, dict):
            continue
        if (volume.get("name") is None) == (volume.get("folder") is None):
            yield Fault(("volumes", position), "needs either name or folder")
        path = volume.get("path")
        if isinstance(path, str) and path in seen:
            yield Fault(("volumes", position, "path"), f"{path} is already another volume's")
        elif isinstance(path, str):
            seen.add(path)


_STRATEGY_OF = {"stages": "canary", "preview": "blue-green"}


def _deploy(deploy: Mapping[str, Any], ports: Mapping[str, Any]) -> Iterator[Fault]:
    strategy = deploy.get("strategy", "rolling")
    for key, owner in _STRATEGY_OF.items():
        if deploy.get(key) and strategy != owner:
            yield Fault(("deploy", key), f"belongs to strategy: {owner}")
    if strategy == "blue-green" and "preview" in list(ports)[1:]:
        yield Fault(("ports", "preview"), "is the name of the host at which a blue-green release waits", "rename it")
    shares = [_mapping(stage).get("percent") for stage in deploy.get("stages") or [] if isinstance(stage, dict)]
    numbers = [share for share in shares if isinstance(share, int)]
    for position, (one, following) in enumerate(itertools.pairwise(numbers), 1):
        if following <= one:
            yield Fault(("deploy", "stages", position, "percent"), f"{following} must be more than {one} before it")


def _build(build: Mapping[str, Any]) -> Iterator[Fault]:
    if "dockerfile" in build:
        for key in ("runtime", "base", "command", "output"):
            if key in build:
                yield Fault(("build", key), "belongs to a recipe, and dockerfile replaces recipes")
        return
    for key in ("target", "args"):
        if build.get(key):
            yield Fault(("build", key), "needs dockerfile")
    if "output" in build and build.get("runtime", "static") != "static":
        yield Fault(("build", "output"), "belongs to runtime: static")


def _twice(path: Path, values: Any) -> Iterator[Fault]:
    seen: set[str] = set()
    for position, value in enumerate(values if isinstance(values, list) else []):
        if isinstance(value, str) and value in seen:
            yield Fault((*path, position), f"{value} is named twice")
        elif isinstance(value, str):
            seen.add(value)


def _variables(env: Mapping[str, Any], secret_env: Mapping[str, Any]) -> Iterator[Fault]:
    for name in secret_env:
        if name in env:
            yield Fault(("secret_env", name), "is in env too", "an overlay removes one with `null`")


def _resources(resources: Mapping[str, Any]) -> Iterator[Fault]:
    """Nothing more is kept for an instance than it may use. Values that are none are told by the schema."""
    for key, read in (("memory", units.size), ("cpus", float)):
        limit, reserved = resources.get(key), _mapping(resources.get("reserve")).get(key)
        try:
            is_more = limit is not None and reserved is not None and read(str(reserved)) > read(str(limit))
        except ValueError:
            continue
        if is_more:
            yield Fault(("resources", "reserve", key), f"{reserved} is more than it may use: {key} is {limit}")


def _lengths(app: Any, environment: str, ports: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(app, str) or not environment:
        return
    longest = _LONGEST_TOGETHER - (_PORT_NUMBER if any(_is_same(port) for port in ports.values()) else 0)
    if len(app) + len(environment) > longest:
        yield Fault(("app",), f"{app} and {environment} together have more than {longest} characters")
        return
    for name in list(ports)[1:]:
        if len(f"{app}-{environment}-{name}") > _LONGEST_SERVICE:
            reason = f"{app}-{environment}-{name} has more than {_LONGEST_SERVICE} characters"
            yield Fault(("ports", name), reason)


def _is_same(port: Mapping[str, Any]) -> bool:
    return bool(port.get("mode", "same" if port.get("protocol") == "dubbo" else "nat") == "same")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> Sequence[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _listed(names: Sequence[str]) -> str:
    return f"its ports are {', '.join(names)}" if names else ""
