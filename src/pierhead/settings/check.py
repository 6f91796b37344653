"""What is wrong with settings although each is of its type."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pierhead.kit.errors import Problem
from pierhead.settings import values

_CHOICES: Mapping[str, Sequence[str]] = {
    "engine.start": ("auto", "never"),
    "catalog.mode": ("embedded", "consul"),
    "build.compression": ("gzip", "zstd"),
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR"),
}
_OPTIONAL_PORTS = ("gateway.https_port",)
_NETWORKS = ("gateway.trusted_proxies", "gateway.proxy_protocol")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_DOMAIN = re.compile(r"(?=.{1,200}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_ADDRESS = re.compile(r"([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(/[a-z0-9]+([._/-]+[a-z0-9]+)*)?|")


@dataclass(frozen=True, slots=True)
class Value:
    """What a setting is, and who said so."""

    value: Any
    origin: str
    """`default`, `/etc/pierhead/pier.toml:12`, `PIER_DOMAIN` or `flag`."""


def check(found: Mapping[str, Value]) -> Iterator[Problem]:
    """What is wrong although every type is right."""
    held = {key: value.value for key, value in found.items()}
    for key, choices in _CHOICES.items():
        if held[key] not in choices:
            yield _problem(
                key, found[key], f"{held[key]!r} is none of {', '.join(choices)}", nearest(str(held[key]), choices)
            )
    for key, value in held.items():
        if key.endswith("port") and not (1 <= value <= 65535 or (value == 0 and key in _OPTIONAL_PORTS)):
            yield _problem(key, found[key], f"{value} is no port: 1 to 65535")
        elif key in _NETWORKS:
            yield from (_problem(key, found[key], reason) for reason in values.networks_faults(value))
        elif isinstance(value, int | float) and value < 0:
            yield _problem(key, found[key], f"{value} is less than 0")
    if fault := values.syslog_fault(held["gateway.access_syslog"]):
        yield _problem("gateway.access_syslog", found["gateway.access_syslog"], fault)
    if not _NAME.fullmatch(held["cluster"]):
        yield _problem("cluster", found["cluster"], "use lower-case letters, digits and `-`, a letter first")
    for environment, domain in values.pairs(held["domains"]):
        if not _NAME.fullmatch(environment) or not _DOMAIN.fullmatch(domain):
            yield _problem("domains", found["domains"], f"{environment}={domain} is no environment=domain")
    if not _DOMAIN.fullmatch(held["domain"]):
        yield _problem("domain", found["domain"], f"{held['domain']!r} is no lower-case DNS name")
    if held["catalog.mode"] == "consul" and not held["catalog.url"]:
        yield _problem("catalog.url", found["catalog.mode"], 'is needed with catalog.mode = "consul"')
    if held["catalog.mode"] == "embedded" and held["catalog.url"]:
        yield _problem("catalog.url", found["catalog.url"], 'is used only with catalog.mode = "consul"')
    yield from _check_catalog_files(found, held)
    yield from _check_registry(found, held)
    yield from _check_database(found, held)


def _check_catalog_files(found: Mapping[str, Value], held: Mapping[str, Any]) -> Iterator[Problem]:
    has_token = held["catalog.token"] or held["catalog.token_file"]
    if held["catalog.token"] and held["catalog.token_file"]:
        yield _problem("catalog.token_file", found["catalog.token_file"], "is there and catalog.token too: drop one")
    if held["catalog.mode"] == "embedded" and held["catalog.grants_file"] and not has_token:
        yield _problem("catalog.grants_file", found["catalog.grants_file"], "needs a root token: catalog.token_file")
    for prefix in ("", "server_"):
        cert, key = f"catalog.{prefix}cert_file", f"catalog.{prefix}key_file"
        if bool(held[cert]) != bool(held[key]):
            given, missing = (cert, key) if held[cert] else (key, cert)
            yield _problem(given, found[given], f"needs {missing}")
    if held["catalog.server_client_ca_file"] and not held["catalog.server_cert_file"]:
        key = "catalog.server_client_ca_file"
        yield _problem(key, found[key], "needs catalog.server_cert_file")


def _check_registry(found: Mapping[str, Value], held: Mapping[str, Any]) -> Iterator[Problem]:
    for one, other in (("cert_file", "key_file"), ("username", "password_file")):
        first, second = f"registry.{one}", f"registry.{other}"
        if bool(held[first]) != bool(held[second]):
            given, missing = (first, second) if held[first] else (second, first)
            yield _problem(given, found[given], f"needs {missing}")
    for key in ("username", "password_file"):
        if held[f"registry.{key}"] and not held["registry.address"]:
            yield _problem(f"registry.{key}", found[f"registry.{key}"], "is used only with registry.address")
    if held["registry.cert_file"] and held["registry.address"]:
        yield _problem("registry.cert_file", found["registry.cert_file"], "is of the embedded registry: drop one")
    if held["registry.cert_file"] and not held["registry.ca_file"]:
        yield _problem("registry.cert_file", found["registry.cert_file"], "needs registry.ca_file, who signed it")
    if not _ADDRESS.fullmatch(held["registry.address"]):
        reason = f"{held['registry.address']!r} is no host:port, nor host:port/folder"
        yield _problem("registry.address", found["registry.address"], reason, "without http:// or https://")


def _check_database(found: Mapping[str, Value], held: Mapping[str, Any]) -> Iterator[Problem]:
    url, password_file = held["database.url"], held["database.password_file"]
    if password_file and not url:
        yield _problem("database.password_file", found["database.password_file"], "is used only with database.url")
    if not url:
        return
    if not url.startswith(("postgresql://", "postgres://")):
        yield _problem("database.url", found["database.url"], "is no postgresql://user@host/name")
    elif ":" in urlsplit(url).netloc.rpartition("@")[0] or "password=" in urlsplit(url).query:
        reason = "holds a password, which everybody who sees the settings would read"
        yield _problem("database.url", found["database.url"], reason, "put it into the file database.password_file")


def nearest(name: str, known: Sequence[str]) -> str:
    """`did you mean …?`, or nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else ""


def _problem(key: str, value: Value, reason: str, hint: str = "") -> Problem:
    place = key if value.origin == "default" else f"{value.origin} {key}"
    return Problem(place, reason, hint)
