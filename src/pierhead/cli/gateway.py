"""`pier gateway`: one HAProxy and its controller, for any catalog that speaks the Consul HTTP API, and what they have
rendered."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from pierhead.boot import access, gateway
from pierhead.cli import config, console
from pierhead.gateway.options import Options
from pierhead.kit import errors, log
from pierhead.settings import load, values
from pierhead.wire.gateway.client import Gateways

app = typer.Typer(help="Serve what the catalog's routes say; show what is rendered.")
PATIENCE = timedelta(seconds=30)
"""For all that a gateway with thousands of services has rendered."""

Http = Annotated[str, typer.Option("--http", help="Address and port for HTTP; service ports use the same address.")]
Admin = Annotated[str, typer.Option("--admin", help="Address and port of the status API; others must reach it.")]
Data = Annotated[
    Path | None, typer.Option("--data", help="The folder of its files, sockets and last known state. Needed.")
]
Name = Annotated[str, typer.Option("--name", help="Its name in the catalog. Default: gateway-<host name>.")]
Program = Annotated[str, typer.Option("--haproxy", help="The HAProxy program.")]
Https = Annotated[int, typer.Option("--https", min=0, max=65535, help="Port for HTTPS; 0: none.")]
Certificates = Annotated[
    Path | None,
    typer.Option("--certificates", help="Folder of certificates: NAME.pem (chain and key), or NAME.crt and NAME.key."),
]
CertificateKey = Annotated[
    Path | None,
    typer.Option("--certificate-key", help="The server's gateway.key, which opens the certificates in the catalog."),
]
DefaultCertificate = Annotated[
    str, typer.Option("--default-certificate", help="The certificate for names that none is for. Default: self-made.")
]
Pages = Annotated[Path | None, typer.Option("--pages", help="Folder of pages: 404.html, 503.html, maintenance.html ….")]
Trust = Annotated[str, typer.Option("--trust", help="Networks whose X-Forwarded-* headers are believed, by commas.")]
ProxyProtocol = Annotated[
    str, typer.Option("--proxy-protocol", help="Networks whose connections begin with a PROXY header, by commas.")
]
Keep = Annotated[bool, typer.Option("--keep/--no-keep", help="HAProxy goes on serving when this process is stopped.")]


AccessLog = Annotated[
    Path | None, typer.Option("--access-log", help="A file that gets a JSON object a line for every HTTP request.")
]
AccessSyslog = Annotated[
    str, typer.Option("--access-syslog", help="Where the same is sent as syslog: /dev/log, or host:port for UDP.")
]
Asked = Annotated[
    str, typer.Option("--admin", help="The gateway's status API. Default: the settings' gateway; 127.0.0.1:4402.")
]


@app.callback(invoke_without_command=True)
@console.exits
async def serve(
    ctx: typer.Context,
    data: Data = None,
    catalog: config.Catalog = "",
    http: Http = "127.0.0.1:8080",
    admin: Admin = "127.0.0.1:4402",
    name: Name = "",
    haproxy: Program = "haproxy",
    keep: Keep = True,
    https: Https = 0,
    certificates: Certificates = None,
    certificate_key: CertificateKey = None,
    default_certificate: DefaultCertificate = "",
    pages: Pages = None,
    trust: Trust = "",
    proxy_protocol: ProxyProtocol = "",
    access_log: AccessLog = None,
    access_syslog: AccessSyslog = "",
    settings: config.Access = None,
) -> None:
    """Serve what the catalog's routes say until stopped."""
    if ctx.invoked_subcommand:
        return
    if data is None:
        raise errors.Invalid(
            "--data is missing", hint="Name a folder for the gateway's files: --data /var/lib/gateway."
        )
    told = config.with_catalog(settings, catalog)
    log.start()
    host, http_port = _address("--http", http)
    admin_host, admin_port = _address("--admin", admin)
    options = Options(
        name=name or f"gateway-{platform.node()}",
        catalog_url=told.catalog_url,
        catalog_token=told.catalog.token,
        catalog_tls=access.tls(told),
        host=host,
        http_port=http_port,
        admin_host=admin_host,
        admin_port=admin_port,
        data=data,
        haproxy=haproxy,
        keep=keep,
        https_port=https,
        certificates=certificates,
        certificate_key=certificate_key,
        default_certificate=default_certificate,
        pages=pages,
        trusted=_networks("--trust", trust),
        proxies=_networks("--proxy-protocol", proxy_protocol),
        access_log=access_log,
        access_log_bytes=told.gateway.access_log_bytes,
        access_syslog=_syslog(access_syslog),
    )
    await gateway.alone(options)


@app.command("config")
@console.exits
async def rendered(admin: Asked = "", settings: config.File = None, as_json: console.Json = False) -> None:
    """Print what a running gateway has rendered, HAProxy's file and maps, and why.

    Each part is shown with the route, service metadata or setting it comes from; besides what is left out, and what has
    yet to be carried out.
    """
    async with Gateways(timeout=PATIENCE) as gateways:
        found = await gateways.config(admin or _own(settings))
    if as_json:
        console.emit(found, as_json)
        return
    for line in _annotated(found):
        console.say(line)


def _own(settings: Path | None) -> str:
    told = load.load(settings, os.environ, {}).gateway
    host = f"[{told.admin_host}]" if ":" in told.admin_host else told.admin_host
    return f"{host}:{told.admin_port}"


def _annotated(found: Mapping[str, Any]) -> Iterator[str]:
    """The file as it is, with the reasons as comments."""
    yield f"# gateway {found['name']}, as of the catalog's index {found['index']}"
    yield from (f"# pending: {one}" for one in found["pending"])
    yield from (f"# left out: {one['route']}: {one['reason']}" for one in found["left_out"])
    sections = {one["name"]: one for one in found["sections"]}
    for line in found["config"].splitlines():
        yield from _reasons(sections.get(" ".join(line.split(" ")[:2])))
        yield line
    for name, entries in groupby(found["maps"], key=lambda one: one["map"]):
        yield from ("", f"# {name}")
        yield from (f"{one['key']} {one['value']}  # {one['why']}" for one in entries)


def _reasons(section: Mapping[str, Any] | None) -> Iterator[str]:
    if section:
        yield f"# {section['why']}"
        yield from (f"# now {slot}: {who}" for slot, who in section["servers"].items())


def _networks(flag: str, text: str) -> tuple[str, ...]:
    for fault in values.networks_faults(text):
        raise errors.Invalid(f"{flag}: {fault}")
    return values.items(text)


def _syslog(text: str) -> str:
    if fault := values.syslog_fault(text):
        raise errors.Invalid(f"--access-syslog: {fault}")
    return text


def _address(flag: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise errors.Invalid(f"{flag}: {text!r} is no address", hint="Write 127.0.0.1:8080 or [::1]:8080.")
    return host.strip("[]"), int(port)
