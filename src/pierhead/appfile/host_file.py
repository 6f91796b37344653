"""Reading a file of `services.d`: valid as a whole, or refused with every mistake in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from pierhead.appfile import document, host_check, host_schema, reasons
from pierhead.appfile.document import Document, Fault
from pierhead.appfile.file import problem
from pierhead.kit.errors import Invalid
from pierhead.model import host
from pierhead.model.app import Protocol
from pierhead.model.host import Service

SUFFIXES = (".yaml", ".yml")
"""Of the files that count; names that begin with `.` do not."""


def read(text: bytes, name: str) -> tuple[Service, ...]:
    """The services that `text` declares. Raises: Invalid with every problem: `name:line path: reason (next step)`."""
    found = document.parse(text)
    if not found.faults and not isinstance(found.data, dict):
        found.faults.append(Fault((), "must say what services there are: `services: {name: {port: …}}`"))
    _keep_texts(found)
    data: Mapping[str, Any] = found.data if isinstance(found.data, dict) else {}
    faults = list(found.faults)
    if data or not faults:
        faults += [*_schema_faults(data), *host_check.check(data)]
    if faults:
        ordered = sorted(faults, key=lambda fault: fault.line or found.line(fault.path))
        problems = list(dict.fromkeys(problem(name, found, fault) for fault in ordered))
        raise Invalid(f"{name} is not valid.", problems=problems, hint="docs/reference/services-d.md has every field.")
    valid = host_schema.File.model_validate(data)
    return tuple(_service(key, value) for key, value in valid.services.items())


def _schema_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    try:
        host_schema.File.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            yield reasons.fault(detail, root=host_schema.File)


def _keep_texts(found: Document) -> None:
    """Values of `meta` are what is written: `1.10` and `no` are texts there."""
    services: Any = found.data.get("services") if isinstance(found.data, dict) else None
    for name, service in services.items() if isinstance(services, dict) else ():
        meta: Any = service.get("meta") if isinstance(service, dict) else None
        for key, value in meta.items() if isinstance(meta, dict) else ():
            if isinstance(value, bool | int | float):
                meta[key] = found.written["services", name, "meta", key]


def _service(name: str, said: host_schema.Service) -> Service:
    called = "-".join(part for part in (said.app, said.environment, said.port_name) if part) or name
    protocol = "http" if said.route and "protocol" not in said.model_fields_set else said.protocol
    return Service(
        name=name,
        service=said.service or called,
        port=said.port,
        address=said.address or "",
        protocol=Protocol(protocol),
        port_name=said.port_name or "",
        tags=tuple(said.tags),
        meta=dict(said.meta),
        check=_check(said.check),
        weight=said.weight,
        route=said.route or "",
        app=said.app or "",
        environment=said.environment or "",
        release=said.release or (host.RELEASE if said.app else ""),
        drain=said.drain,
    )


def _check(said: Any) -> host.Check:
    if said is None:
        return host.Check()
    if said == "none":
        return host.Check(kind="none")
    kind = next(kind for kind in host_check.KINDS if getattr(said, kind) is not None)
    return host.Check(
        kind=kind,
        path=said.http or said.https or "/",
        method=said.method or "GET",
        command=tuple(said.command or ()),
        interval=said.ttl or said.interval,
        timeout=said.timeout,
        rise=said.rise,
        fall=said.fall,
    )
