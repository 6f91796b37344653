"""haproxy.cfg and its maps as text. Pure.

The file holds every server as it is to be at this moment, so that a worker starts right. One map leads from host and
path to a pool, whatever the number of services; never one rule a service.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pierhead
from pierhead.gateway import access
from pierhead.gateway import pool as pool_
from pierhead.gateway.layout import WITH_HOSTS, Layout, Pool, Server
from pierhead.gateway.loaded import SPARE_SLOTS
from pierhead.gateway.material import Material
from pierhead.gateway.pool import socket
from pierhead.model.app import Protocol

CONFIG, HOSTS, WILDCARDS, SITES = "haproxy.cfg", "hosts.map", "wildcards.map", "sites.map"
NAMES, NAME_WILDCARDS, CERTIFICATES = "names.map", "name-wildcards.map", "certificates.list"
IN_ORDER = (WILDCARDS, NAME_WILDCARDS)
"""Maps of which the first key that matches counts."""
TO_POOLS = (SITES, NAMES, NAME_WILDCARDS)
"""Maps whose values are backends. Those of `HOSTS` are, but for hosts of which the path decides."""
_MARK = "@mark@"


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
    https_port: int = 0
    """0: no HTTPS."""
    trusted: tuple[str, ...] = ()
    """Networks whose X-Forwarded-* headers are believed."""
    proxies: tuple[str, ...] = ()
    """Networks whose connections begin with a PROXY header."""
    has_access_log: bool = False

    @property
    def access(self) -> Path:
        """Where HAProxy tells of each HTTP request."""
        return self.run / "access.sock"

    @property
    def inside(self) -> Path:
        """Where connections are opened that are not passed on."""
        return self.run / "https.sock"

    @property
    def worker(self) -> Path:
        return self.run / "worker.sock"

    @property
    def master(self) -> Path:
        return self.run / "master.sock"

    @property
    def metrics(self) -> Path:
        return self.run / "metrics.sock"


Texts = dict[str, tuple[Pool, str]]
"""Pool → its section, to be used again for as long as the pool is the same object."""
Maps = Mapping[str, Mapping[str, str]]
"""File → key → value. In those of wildcards the first key that matches counts."""


def files(frame: Frame, layout: Layout, spares: Sequence[str] = (), texts: Texts | None = None) -> dict[str, str]:
    """File name → text. The names in `frame.folder` are the maps' names at runtime too."""
    found = _config(frame, layout, spares, {} if texts is None else texts)
    mark = "pierhead-" + hashlib.sha256(found.encode()).hexdigest()[:16]
    config = found.replace(_MARK, mark, 1)
    written = {name: text_of(entries) for name, entries in maps(layout, {}).items()}
    return {CONFIG: config, **written, **_listed(frame, layout.material), **material_files(layout.material)}


def mark(texts: Mapping[str, str]) -> str:
    """By which a worker with these files says that it has them."""
    return texts[CONFIG].split("description ", 1)[1].split("\n", 1)[0]


def head(frame: Frame, layout: Layout) -> str:
    """The digest of all that only a reload changes, besides the pools' own sections."""
    text = "\0".join((*_head(frame, layout), layout.material.mark, pierhead.__version__))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _listed(frame: Frame, material: Material) -> dict[str, str]:
    return {CERTIFICATES: _lines(str(frame.folder / _certificate(name)) for name in material.certificates)}


def material_files(material: Material) -> dict[str, str]:
    """Certificates with their keys, and pages."""
    found = {_page(name): text for name, text in material.pages.items()}
    return found | {_certificate(name): pem for name, pem in material.certificates.items()}


def _page(name: str) -> str:
    return f"page-{name}.html"


def _certificate(name: str) -> str:
    return f"certificate-{name}.pem"


def maps(layout: Layout, homes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Host → backend, or → itself where the path decides; host + path → backend.

    `homes`: pool → backend, for those that have not the one of their name. In a map of wildcards the first that matches
    counts, so the longest comes first.
    """
    sites = {site: homes.get(pool, pool) for site, pool in sorted(layout.structure.sites.items())}
    by_host = Counter(site.split("/", 1)[0] for site in sites)
    wildcards = sorted((host for host in by_host if host.startswith("*.")), key=lambda host: (-len(host), host))
    exact = {host: count for host, count in sorted(by_host.items()) if "*" not in host}
    return {
        HOSTS: {host: sites.get(f"{host}/", host) if count == 1 else host for host, count in exact.items()},
        WILDCARDS: {host[1:]: host for host in wildcards},
        SITES: sites,
        **_names(layout.structure.names),
    }


def with_backends(found: Mapping[str, Mapping[str, str]], backends: Container[str]) -> dict[str, dict[str, str]]:
    """The maps, in which nothing leads where there is no backend; a host that leads nowhere stays a known host."""
    hosts = {host: to if to in backends else host for host, to in found[HOSTS].items()}
    led = {name: {key: to for key, to in found[name].items() if to in backends} for name in TO_POOLS}
    return {**{name: dict(entries) for name, entries in found.items()}, **led, HOSTS: hosts}


def _names(names: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Name in a TLS connection → pool; the longest wildcard first."""
    wildcards = sorted((name for name in names if "*" in name), key=lambda name: (-len(name), name))
    return {
        NAMES: {name: names[name] for name in sorted(names.keys() - set(wildcards))},
        NAME_WILDCARDS: {name.removeprefix("*"): names[name] for name in wildcards if name != "*"},
    }


def text_of(entries: Mapping[str, str]) -> str:
    """A map as the file that HAProxy reads."""
    return _lines(map(" ".join, entries.items()))


def loaded_maps(frame: Frame, layout: Layout) -> tuple[str, ...]:
    """The maps that the file with this layout refers to."""
    names = (NAMES, NAME_WILDCARDS) if frame.https_port and layout.structure.names else ()
    return (HOSTS, WILDCARDS, SITES, *names)


def _config(frame: Frame, layout: Layout, spares: Sequence[str], texts: Texts) -> str:
    pools = (_section(frame, pool, texts) for _, pool in sorted(layout.pools.items()))
    waiting = (pool_.text(_spare(name), frame) for name in spares)
    return "\n".join((*_head(frame, layout), *pools, *waiting))


def _head(frame: Frame, layout: Layout) -> list[str]:
    ports = (_port(frame, port, layout.pools[pool]) for port, pool in sorted(layout.structure.ports.items()))
    top = (_global(frame), _defaults(frame, layout), *_listeners(frame, layout), _metrics(frame))
    return [part for part in (*top, *ports, _nobody(frame)) if part]


def _section(frame: Frame, pool: Pool, texts: Texts) -> str:
    known = texts.get(pool.name)
    if known is None or known[0] is not pool:
        known = texts[pool.name] = (pool, pool_.text(pool, frame))
    return known[1]


def _spare(name: str) -> Pool:
    slots = tuple(Server(f"s{number}") for number in range(1, SPARE_SLOTS + 1))
    return Pool(name, "", Protocol.HTTP, slots)


def _global(frame: Frame) -> str:
    return f"""\
# Written by the gateway at every reload; changes by hand are lost.
global
  description {_MARK}
  maxconn {frame.connections}
  stats socket {frame.worker} mode 600 level admin
  stats maxconn 32
{_access_target(frame)}\
  hard-stop-after {frame.drain_seconds}s
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  ssl-default-bind-ciphers {_CIPHERS}
"""


_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)
"""Of TLS 1.2; those of 1.3 are all good."""


def _defaults(frame: Frame, layout: Layout) -> str:
    return f"""\
defaults http
  mode http
  timeout connect 3s
  timeout client {_patience(layout)}
  timeout server 10m
  timeout http-request 10s
  timeout http-keep-alive 30s
  timeout client-fin 30s
  timeout queue 10s
  timeout tunnel 24h
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
  http-reuse safe
  http-error status 503 content-type text/html file {frame.folder / _page("503")} hdr Retry-After 2

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


def _access_target(frame: Frame) -> str:
    return f"  log {frame.access} len {access.LENGTH} format raw local0\n" if frame.has_access_log else ""


def _access(frame: Frame) -> str:
    """Requests are told. What is not there any more at their end is kept aside until then."""
    if not frame.has_access_log:
        return ""
    return f"""\
  log global
  option dontlognull
  log-format '{access.FORMAT}'
  http-request set-var(txn.path) path
  http-request set-var(txn.host) {pool_.HOST}
  http-request set-var(txn.forwarded) req.fhdr(X-Forwarded-For),bytes(0,255)
  http-request set-var(txn.request_id) req.hdr(X-Request-ID),bytes(0,128)
"""


def _patience(layout: Layout) -> str:
    """How long a client that owes something may be silent: streams of gRPC and slow services need more than pages."""
    policies = [pool.policy for pool in layout.pools.values() if pool.protocol == Protocol.GRPC or pool.policy.http2]
    return "10m" if policies else "60s"


def _request(frame: Frame) -> str:
    """What every HTTP request is told of where it came from, and may not say of itself.

    Each rule here is paid for by every request: what only some routes need is in their own pools, and what is the same
    for all requests of a connection is made when that begins. `%rt` counts the worker's requests.
    """
    return f"""\
{_session(frame)}\
{_origin(frame)}\
  http-request add-header X-Request-ID %[var(sess.id)]-%rt unless {{ req.hdr(X-Request-ID) -m found }}
{_access(frame)}\
  http-request disable-l7-retry unless {{ method GET HEAD OPTIONS }}
"""


def _session(frame: Frame) -> str:
    scheme = "  tcp-request session set-var(sess.scheme) ssl_fc,iif(https,http)\n" if frame.https_port else ""
    client = "" if frame.trusted else "  tcp-request session set-var-fmt(sess.client) %[src]\n"
    return f"  tcp-request session set-var-fmt(sess.id) %[date(0,us)]-%[rand]\n{scheme}{client}"


def _origin(frame: Frame) -> str:
    """Client, scheme and name as the connection has them, or as a load balancer says that is believed."""
    scheme = "%[var(sess.scheme)]" if frame.https_port else "http"
    if not frame.trusted:
        return f"""\
  http-request set-header X-Forwarded-For %[var(sess.client)]
  http-request set-header X-Forwarded-Proto {scheme}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request del-header Forwarded
"""
    trusted = f"{{ src {' '.join(frame.trusted)} }}"
    told = f"{trusted} {{ req.hdr(X-Forwarded-Proto) -i http https }}"
    return f"""\
  option forwardfor
  http-request del-header X-Forwarded-For unless {trusted}
  http-request del-header X-Forwarded-Host unless {trusted}
  http-request del-header Forwarded unless {trusted}
  http-request set-header X-Forwarded-Proto %[req.hdr(X-Forwarded-Proto),lower] if {told}
  http-request set-header X-Forwarded-Proto {scheme} unless {told}
  http-request set-header X-Forwarded-Host %[req.hdr(host)] unless {{ req.hdr(X-Forwarded-Host) -m found }}
"""


def _nobody(frame: Frame) -> str:
    return f"""\
backend nobody from http
  http-request return status 404 content-type text/html file {frame.folder / _page("404")}
"""


def _listeners(frame: Frame, layout: Layout) -> tuple[str, ...]:
    """HTTP and HTTPS; in front of HTTPS a look at the name in the connection, where some are passed on unopened."""
    passed_on = bool(frame.https_port and layout.structure.names)
    return (_http(frame, passed_on=passed_on), _tls(frame, layout) if passed_on else "")


def _http(frame: Frame, *, passed_on: bool) -> str:
    """HTTP, and HTTPS after it was opened: what every request is told, then where it leads."""
    return f"""\
frontend http from http
  bind {socket(frame.host, frame.http_port)}
{_https(frame, passed_on=passed_on)}\
{_proxied(frame)}\
{_request(frame)}\
{_leading(frame)}\
  default_backend nobody
"""


def _leading(frame: Frame) -> str:
    """From host and path to the backend: by the host alone, by its paths, by a wildcard's paths.

    The conditions set the variables, so that only a request that gets as far pays for them.
    `txn.pool` is the backend, which has a colon in its name, or the host, of which the path decides.
    """
    hosts, wildcards, sites = (frame.folder / name for name in (HOSTS, WILDCARDS, SITES))
    site = f"concat(,txn.path,/),map_beg({sites}),set-var(txn.pool) -m found"
    keep_path = "!{ path,set-var(txn.path) -m len 0 }"  # always true
    return f"""\
  use_backend %[var(txn.pool)] if {{ {pool_.HOST},map_str({hosts}),set-var(txn.pool) -m sub : }}
  use_backend %[var(txn.pool)] if {keep_path} {{ var(txn.pool),{site} }}
  use_backend %[var(txn.pool)] if !{{ var(txn.pool) -m found }} {{ {pool_.HOST},map_end({wildcards},*),{site} }}
"""


def _https(frame: Frame, *, passed_on: bool) -> str:
    if not frame.https_port:
        return ""
    where = f"unix@{frame.inside} mode 600 accept-proxy" if passed_on else socket(frame.host, frame.https_port)
    return f"  bind {where} ssl crt-list {frame.folder / CERTIFICATES} alpn h2,http/1.1\n"


def _tls(frame: Frame, layout: Layout) -> str:
    """A connection is passed on by the name that it begins with, or opened here where nobody wants it unopened."""
    rest = layout.structure.names.get("*", "inside")
    return f"""\
frontend tls from tcp
  bind {socket(frame.host, frame.https_port)}
{_proxied(frame)}\
  tcp-request inspect-delay 5s
  tcp-request content set-var(sess.name) req.ssl_sni,lower if {{ req.ssl_hello_type 1 }}
  tcp-request content set-var(sess.pool) var(sess.name),map_str({frame.folder / NAMES}) if {{ req.ssl_hello_type 1 }}
  tcp-request content set-var(sess.pool) var(sess.name),map_end({frame.folder / NAME_WILDCARDS}) \
if {{ req.ssl_hello_type 1 }} !{{ var(sess.pool) -m found }}
  tcp-request content accept if {{ req.ssl_hello_type 1 }}
  use_backend %[var(sess.pool)] if {{ var(sess.pool) -m found }}
  default_backend {rest}

backend inside from tcp
  server inside unix@{frame.inside} send-proxy-v2
"""


def _proxied(frame: Frame) -> str:
    """A load balancer in front says who the client is, in a header of the connection."""
    if not frame.proxies:
        return ""
    return f"  tcp-request connection expect-proxy layer4 if {{ src {' '.join(frame.proxies)} }}\n"


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
    return f"""\
frontend port:{port} from {"http" if has_http else "tcp"}
  bind {socket(frame.host, port)}
{_proxied(frame)}\
{_request(frame) if has_http else ""}\
  default_backend {pool.name}
"""


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
