"""From a check's body to its row: what is refused, what it is called, and how the server is to run it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pierhead.catalog import request
from pierhead.catalog.records import CRITICAL, STATUSES, Check
from pierhead.catalog.reply import Rejected

_PROBES = {"http": "HTTP", "tcp": "TCP", "grpc": "GRPC"}
_SCRIPTS = ("Args", "ScriptArgs", "DockerContainerID", "Shell")
_TEXTS = {"Header": "header", "Method": "method", "Body": "body", "TLSServerName": "tls_name"}
_FLAGS = {"GRPCUseTLS": "grpc_tls", "TLSSkipVerify": "tls_skip_verify", "DisableRedirects": "no_redirects"}
_COUNTS = {"SuccessBeforePassing": "rise", "FailuresBeforeCritical": "fall"}
_LEAST_INTERVAL = timedelta(seconds=1)
SHOWN = "shown"
"""Where the definition of a check that somebody else runs is kept."""


def validate(body: Mapping[str, Any]) -> None:
    """Nothing, for a check that can be run. Raises: Rejected 400, or 500 for one that would run a script."""
    interval = body.get("Interval", timedelta())
    ttl = body.get("TTL", timedelta())
    is_script = any(body.get(name) for name in _SCRIPTS)
    is_probe = is_script or any(body.get(name) for name in _PROBES.values())
    is_alias = bool(body.get("AliasService") or body.get("AliasNode"))
    zero = timedelta()
    if interval > zero and ttl > zero:
        raise Rejected(400, "Invalid check: Interval and TTL cannot both be specified")
    if is_probe and interval <= zero:
        raise Rejected(400, "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks")
    if is_alias and (is_probe or interval > zero):
        raise Rejected(400, "Invalid check: Interval cannot be set for Alias checks")
    if is_alias and ttl > zero:
        raise Rejected(400, "Invalid check: TTL must be not be set for Alias checks")
    if not is_probe and not is_alias and ttl <= zero:
        raise Rejected(400, "Invalid check: TTL must be > 0 for TTL checks")
    if is_script:
        raise Rejected(
            500,
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
        )


def row(body: Mapping[str, Any], node: str, check_id: str, name: str, service_id: str) -> Check:
    """The check as the catalog keeps it, before its first result."""
    status = body.get("Status") or CRITICAL
    return Check(node, check_id, name, status, body.get("Notes", ""), "", service_id, kind(body), _definition(body))


def kind(body: Mapping[str, Any]) -> str:
    """`http`, `tcp`, `grpc`, `alias` or `ttl`."""
    for name, field in _PROBES.items():
        if body.get(field):
            return name
    return "alias" if body.get("AliasService") or body.get("AliasNode") else "ttl"


def shown(body: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of a check that somebody else runs: kept for them, never acted on."""
    values = {
        name: request.duration_text(value) if isinstance(value, timedelta) else value for name, value in body.items()
    }
    return {SHOWN: values} if any(values.values()) else {}


def shown_kind(body: Mapping[str, Any]) -> str:
    """`http` or `tcp` for a definition of such a check, else empty."""
    return next((name for name in ("http", "tcp") if body.get(_PROBES[name])), "")


def is_status(status: str) -> bool:
    return status in STATUSES


def _definition(body: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds for durations: `ttl`, `interval`, `timeout`, `removal`; and the target under its kind."""
    seconds = {
        "ttl": body.get("TTL"),
        "interval": max(body["Interval"], _LEAST_INTERVAL) if body.get("Interval") else None,
        "timeout": body.get("Timeout"),
        "removal": body.get("DeregisterCriticalServiceAfter"),
    }
    values: dict[str, Any] = {name: value.total_seconds() for name, value in seconds.items() if value}
    names = {field: name for name, field in _PROBES.items()} | _TEXTS | _FLAGS | _COUNTS
    names |= {"AliasService": "alias_service", "AliasNode": "alias_node"}
    return values | {name: body[field] for field, name in names.items() if body.get(field)}
