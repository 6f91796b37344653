"""haproxy.cfg and its maps as text. Pure.

The file holds every server as it is to be at this moment, so that a worker starts right. One map leads from host and
path to a pool, whatever the number of services; never one rule a service.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pierhead.gateway.layout import WITH_HOSTS, Layout, Mode, Pool, Server
from pierhead.model.app import Protocol

EMPTY = "127.0.0.1:9"
"""What an empty slot points at; it is disabled."""
CONFIG, HOSTS, WILDCARDS, SITES = "haproxy.cfg", "hosts.map", "wildcards.map", "sites.map"


@dataclass(frozen=True, slots=True)
class Frame:
    """What does not come from the catalog."""

    host: str
    http_port: int
    folder: Path
    """Of the file and the maps."""
    run: Path
    """Of the sockets."""
    connections: int
    drain_seconds: int
    has_metrics: bool = True

    @property
    def worker(self) -> Path:
        return self.run / "worker.sock"

    @property
    def master(self) -> Path:
        return self.run / "master.sock"

    @property
    def metrics(self) -> Path:
        return self.run / "metrics.sock"


def files(frame: Frame, layout: Layout) -> dict[str, str]:
    """File name → text. The names in `frame.folder` are the maps' names at runtime too."""
    mark = fingerprint(frame, layout)
    return {CONFIG: _config(frame, layout, mark), **maps(layout.structure.sites)}


def fingerprint(frame: Frame, layout: Layout) -> str:
    """The same for two layouts that differ only in what sits in the slots. A worker shows it in `show info`."""
    empty = {name: _emptied(pool) for name, pool in layout.pools.items()}
    texts = [_config(frame, Layout(empty, layout.structure), ""), *maps(layout.structure.sites).values()]
    return "pierhead-" + hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def maps(sites: Mapping[str, str]) -> dict[str, str]:
    """Host → site, longest wildcard first because the first that matches counts, and site + path → pool."""
    hosts = {site.split("/", 1)[0] for site in sites}
    exact = sorted(host for host in hosts if "*" not in host)
    wildcards = sorted((host for host in hosts if host.startswith("*.")), key=lambda host: (-len(host), host))
    return {
        HOSTS: _lines(f"{host} {host}" for host in exact),
        WILDCARDS: _lines(f"{host[1:]} {host}" for host in wildcards),
        SITES: _lines(f"{site} {pool}" for site, pool in sorted(sites.items())),
    }


def _config(frame: Frame, layout: Layout, mark: str) -> str:
    ports = (_port(frame, port, layout.pools[pool]) for port, pool in sorted(layout.structure.ports.items()))
    pools = (_pool(pool) for _, pool in sorted(layout.pools.items()))
    parts = (_global(frame, mark), _DEFAULTS, _http(frame), _metrics(frame), *ports, _NOBODY, *pools)
    return "\n".join(part for part in parts if part)


def _global(frame: Frame, mark: str) -> str:
    return f"""\
# Written by the gateway at every reload; changes by hand are lost.
global
  description {mark or "-"}
  maxconn {frame.connections}
  stats socket {frame.worker} mode 600 level admin
  stats maxconn 32
  hard-stop-after {frame.drain_seconds}s
"""


_DEFAULTS = """\
defaults http
  mode http
  timeout connect 3s
  timeout client 60s
  timeout server 10m
  timeout http-request 10s
  timeout http-keep-alive 30s
  timeout client-fin 30s
  timeout queue 10s
  timeout tunnel 24h
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
  option forwardfor
  http-reuse safe
  unique-id-format %[uuid()]
  http-error status 503 content-type text/html string "<!doctype html><title>503</title><h1>No instance</h1>\
<p>This name is known here, but no instance can serve it right now. Try again in a moment.</p>" hdr Retry-After 2

defaults tcp
  mode tcp
  timeout connect 3s
  timeout client 24h
  timeout server 24h
  timeout client-fin 30s
  timeout queue 10s
  retries 3
  option redispatch 1
"""

_REQUEST = """\
  http-request set-var(txn.host) req.hdr(host),host_only,lower
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Request-ID %[unique-id] unless { req.hdr(X-Request-ID) -m found }
  http-request disable-l7-retry unless { method GET HEAD OPTIONS }
"""

_NOBODY = """\
backend nobody from http
  http-request return status 404 content-type text/html string "<!doctype html><title>404</title><h1>Not found</h1>\
<p>Nobody has declared this name and path here.</p>"
"""


def _http(frame: Frame) -> str:
    folder = frame.folder
    return f"""\
frontend http from http
  bind {_socket(frame.host, frame.http_port)}
{_REQUEST}\
  http-request set-var(txn.path) path
  http-request set-var(txn.site) var(txn.host),map_str({folder / HOSTS})
  http-request set-var(txn.site) var(txn.host),map_end({folder / WILDCARDS}) unless {{ var(txn.site) -m found }}
  http-request set-var(txn.site) str(*) unless {{ var(txn.site) -m found }}
  http-request set-var(txn.key) var(txn.site),concat(,txn.path,/)
  http-request set-var(txn.pool) var(txn.key),map_beg({folder / SITES})
  use_backend %[var(txn.pool)] if {{ var(txn.pool) -m found }}
  default_backend nobody
"""


def _metrics(frame: Frame) -> str:
    if not frame.has_metrics:
        return ""
    return f"""\
frontend metrics from http
  bind unix@{frame.metrics} mode 600
  http-request use-service prometheus-exporter
"""


def _port(frame: Frame, port: int, pool: Pool) -> str:
    has_http = pool.protocol in WITH_HOSTS
    request = _REQUEST if has_http else ""
    return f"""\
frontend port:{port} from {"http" if has_http else "tcp"}
  bind {_socket(frame.host, port)}
{request}  default_backend {pool.name}
"""


def _pool(pool: Pool) -> str:
    head = f"backend {pool.name} from {'http' if pool.protocol in WITH_HOSTS else 'tcp'}\n  balance roundrobin\n"
    extra = " proto h2" if pool.protocol == Protocol.GRPC else ""
    return head + "".join(f"  server {server.name} {_server(server)}{extra}\n" for server in pool.servers)


def _server(server: Server) -> str:
    if server.key is None:
        return f"{EMPTY} disabled"
    address = _socket(*server.key)
    if server.mode == Mode.MAINT:
        return f"{address} disabled"
    # a file cannot say `drain`: no weight means no new request, and the runtime command follows the reload
    return f"{address} weight {server.weight if server.mode == Mode.READY else 0}"


def _emptied(pool: Pool) -> Pool:
    return Pool(pool.name, pool.service, pool.protocol, tuple(Server(server.name) for server in pool.servers))


def _socket(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
