"""Where requests come in: what each is told of where it came from, and which backend it is led to. Text; pure."""

from __future__ import annotations

from pierhead.gateway import access
from pierhead.gateway import pool as pool_
from pierhead.gateway.frame import CERTIFICATES, HOSTS, NAME_WILDCARDS, NAMES, SITES, WILDCARDS, Frame, page
from pierhead.gateway.layout import WITH_HOSTS, Layout, Pool
from pierhead.gateway.pool import socket


def listeners(frame: Frame, layout: Layout) -> tuple[str, ...]:
    """HTTP and HTTPS; in front of HTTPS a look at the name in the connection, where some are passed on unopened."""
    passed_on = bool(frame.https_port and layout.structure.names)
    return (_http(frame, passed_on=passed_on), _tls(frame, layout) if passed_on else "")


def port(frame: Frame, number: int, pool: Pool) -> str:
    has_http = pool.protocol in WITH_HOSTS
    return f"""\
frontend port:{number} from {"http" if has_http else "tcp"}
  bind {socket(frame.host, number)}
{_proxied(frame)}\
{_request(frame) if has_http else ""}\
  default_backend {pool.name}
"""


def metrics(frame: Frame) -> str:
    if not frame.has_metrics:
        return ""
    return f"""\
frontend metrics from http
  bind unix@{frame.metrics} mode 600
  http-request use-service prometheus-exporter
"""


def nobody(frame: Frame) -> str:
    return f"""\
backend nobody from http
  http-request return status 404 content-type text/html file {frame.folder / page("404")}
"""


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
