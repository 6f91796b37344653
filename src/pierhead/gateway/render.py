"""haproxy.cfg and its maps as text. Pure.

The file holds every server as it is to be at this moment, so that a worker starts right. One map leads from host and
path to a pool, whatever the number of services; never one rule a service.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

import pierhead
from pierhead.gateway import access, frontends
from pierhead.gateway import pool as pool_
from pierhead.gateway.frame import (
    CERTIFICATES,
    CONFIG,
    HOSTS,
    NAME_WILDCARDS,
    NAMES,
    SITES,
    TO_POOLS,
    WILDCARDS,
    Frame,
    certificate,
    page,
)
from pierhead.gateway.layout import Layout, Pool, Server
from pierhead.gateway.loaded import SPARE_SLOTS
from pierhead.gateway.material import Material
from pierhead.model.app import Protocol

_MARK = "@mark@"


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
    return {CERTIFICATES: _lines(str(frame.folder / certificate(name)) for name in material.certificates)}


def material_files(material: Material) -> dict[str, str]:
    """Certificates with their keys, and pages."""
    found = {page(name): text for name, text in material.pages.items()}
    return found | {certificate(name): pem for name, pem in material.certificates.items()}


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
    ports = (frontends.port(frame, port, layout.pools[pool]) for port, pool in sorted(layout.structure.ports.items()))
    top = (_global(frame), _defaults(frame, layout), *frontends.listeners(frame, layout), frontends.metrics(frame))
    return [part for part in (*top, *ports, frontends.nobody(frame)) if part]


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
  http-error status 503 content-type text/html file {frame.folder / page("503")} hdr Retry-After 2

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


def _patience(layout: Layout) -> str:
    """How long a client that owes something may be silent: streams of gRPC and slow services need more than pages."""
    policies = [pool.policy for pool in layout.pools.values() if pool.protocol == Protocol.GRPC or pool.policy.http2]
    return "10m" if policies else "60s"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
