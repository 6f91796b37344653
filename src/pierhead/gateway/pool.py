"""A pool as HAProxy's backend: its servers, and what its policy does with a request. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Protocol as Shape

from pierhead.gateway.layout import WITH_HOSTS, Mode, Pool, Server
from pierhead.model.app import Protocol
from pierhead.model.policy import Https, Policy

EMPTY = "127.0.0.1:9"
"""What an empty slot points at; it is disabled."""
RETRY_MAINTENANCE_SECONDS = 60
_COOKIE_KEY = "pierhead"
"""The same on all gateways, so that each understands the others' cookies. It guards nothing."""
_HTTPS_PORT = 443
HOST = "req.hdr(host),host_only,lower"
"""The name that the client asked for, without a port."""
_SCHEME = "req.hdr(X-Forwarded-Proto)"
"""How the client asked: the frontend has set it."""


class Frame(Shape):
    """What a backend needs of the frame."""

    @property
    def folder(self) -> Path: ...
    @property
    def https_port(self) -> int: ...


def text(pool: Pool, frame: Frame) -> str:
    """The section of haproxy.cfg."""
    has_http = pool.protocol in WITH_HOSTS
    lines = [f"backend {pool.name} from {'http' if has_http else 'tcp'}", *_balance(pool.policy)]
    lines += _timeouts(pool.policy)
    lines += _rules(pool, frame) if has_http else []
    extra = options(pool)
    lines += [f"server {server.name} {_server(server)}{extra}" for server in pool.servers]
    return "\n  ".join(lines) + "\n"


def options(pool: Pool) -> str:
    """What each of its servers is declared with besides address and weight, a space before it."""
    return " proto h2" if pool.protocol == Protocol.GRPC or pool.policy.http2 else ""


def socket(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def quoted(value: str) -> str:
    """`value` as one word of haproxy.cfg, whatever is in it."""
    return "'" + value.replace("'", "'\\''") + "'"


def _literal(value: str) -> str:
    """`value` where HAProxy understands `%` as the beginning of a variable."""
    return value.replace("%", "%%")


def _balance(policy: Policy) -> Iterator[str]:
    kind, _, name = policy.balance.partition(":")
    algorithms = {"path": "uri path-only", "header": f"hdr({name})", "cookie": f"hash req.cook({name})"}
    yield f"balance {algorithms.get(kind, kind)}"
    if policy.is_hashed:
        yield "hash-type consistent"


def _timeouts(policy: Policy) -> Iterator[str]:
    told = {"connect": policy.connect_timeout, "server": policy.response_timeout, "tunnel": policy.idle_timeout}
    yield from (f"timeout {name} {_milliseconds(value)}ms" for name, value in told.items() if value)


def _milliseconds(value: timedelta) -> int:
    return value // timedelta(milliseconds=1)


def _rules(pool: Pool, frame: Frame) -> Iterator[str]:
    policy = pool.policy
    if policy.hsts:
        header = f'Strict-Transport-Security "max-age={int(policy.hsts.total_seconds())}"'
        yield f"http-request set-var(txn.scheme) {_SCHEME}"
        yield f"http-after-response set-header {header} if {{ var(txn.scheme) -m str https }}"
    if policy.https == Https.REDIRECT:
        yield _to_https(policy.redirect_code, frame.https_port)
    if policy.maintenance:
        page = frame.folder / "page-maintenance.html"
        retry = f"hdr Retry-After {RETRY_MAINTENANCE_SECONDS}"
        yield f"http-request return status 503 content-type text/html file {page} {retry}"
    if policy.redirect:
        yield from _redirects(policy)
    if policy.body_limit:
        yield from _body_limit(policy.body_limit, frame.folder)
    if policy.rewrite:
        yield from _rewrite(policy.rewrite, pool.paths)
    if policy.sticky:
        name = hashlib.sha256(pool.service.encode()).hexdigest()[:8]
        secure = " secure" if policy.https == Https.REDIRECT else ""
        yield f'cookie PIER-{name} insert indirect nocache httponly{secure} dynamic attr "SameSite=Lax"'
        yield f"dynamic-cookie-key {_COOKIE_KEY}"


def _to_https(code: int, port: int) -> str:
    suffix = f":{port}" if port not in (0, _HTTPS_PORT) else ""
    where = f"https://%[{HOST}]{suffix}%[pathq]"
    return f"http-request redirect location {where} code {code} unless {{ {_SCHEME} -m str https }}"


def _redirects(policy: Policy) -> Iterator[str]:
    code, target = policy.redirect_code, _literal(policy.redirect.rstrip("/"))
    if "://" in policy.redirect:
        yield f"http-request redirect prefix {quoted(target)} code {code}"
        return
    host, slash, path = target.partition("/")
    port = "req.hdr(host),port_only"
    has_port = f"{{ {port} -m int gt 0 }}" if ":" not in host else "{ always_false }"
    begin, end = f"%[{_SCHEME}]://{host}", f"{slash}{path}%[pathq]"
    yield f"http-request redirect location {quoted(f'{begin}:%[{port}]{end}')} code {code} if {has_port}"
    yield f"http-request redirect location {quoted(begin + end)} code {code}"


def _body_limit(limit: int, folder: Path) -> Iterator[str]:
    """Only what a request says of its own length can be judged before it is sent on."""
    page = "http-request return status {0} content-type text/html file {1}/page-{0}.html if {2}"
    yield page.format(413, folder, f"{{ req.body_size gt {limit} }}")
    yield page.format(411, folder, "{ req.hdr(transfer-encoding) -m found }")
    unsized = "{ fc_http_major 2 } { method POST PUT PATCH } !{ req.hdr(content-length) -m found }"
    yield page.format(411, folder, unsized)


def _rewrite(rewrite: str, paths: tuple[str, ...]) -> Iterator[str]:
    """The path that the client sent decides, so that no rule sees what another one wrote."""
    base, exact = rewrite.rstrip("/"), " ".join(quoted(path) for path in paths if path)
    pattern = quoted(f"^({'|'.join(re.escape(path) for path in paths)})(/.*)?$")
    is_exact = f"{{ var(txn.path) -m str {exact} }}"
    target = quoted(_literal(base.replace("\\", "\\\\")) + "\\2")
    if exact:
        yield "http-request set-var(txn.path) path"
    yield f"http-request replace-path {pattern} {target}" + (f" unless {is_exact}" if exact else "")
    if exact:
        yield f"http-request set-path {quoted(_literal(rewrite))} if {is_exact}"


def _server(server: Server) -> str:
    if server.key is None:
        return f"{EMPTY} disabled"
    address = socket(*server.key)
    if server.mode == Mode.MAINT:
        return f"{address} disabled"
    # a file cannot say `drain`: no weight means no new request, and the runtime command follows the reload
    return f"{address} weight {server.weight if server.mode == Mode.READY else 0}"
