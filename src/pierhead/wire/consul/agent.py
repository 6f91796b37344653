"""What is registered with the agent that the client is connected to. Source: Consul HTTP API, Agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pierhead.wire.consul import records
from pierhead.wire.consul.client import Answer, Consul, duration, segment


@dataclass(frozen=True, slots=True)
class Check:
    """A check to register: exactly one of `ttl`, `http`, `tcp`, `grpc`, `alias_service`."""

    id: str = ""
    """Empty: `service:<service id>` for the only check of a service, `service:<service id>:<n>` for several."""
    name: str = ""
    ttl: timedelta | None = None
    http: str = ""
    tcp: str = ""
    grpc: str = ""
    alias_service: str = ""
    interval: timedelta | None = None
    timeout: timedelta | None = None
    status: str = ""
    """Until the first result; empty: critical."""
    notes: str = ""
    deregister_critical_service_after: timedelta | None = None
    """Removes the service once the check has been critical for that long; Consul's least is one minute."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A service instance to register."""

    name: str
    id: str = ""
    """Empty: the name."""
    address: str = ""
    port: int = 0
    tags: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()


async def register(client: Consul, service: Registration, *, replace_checks: bool = True) -> None:
    """The catalog answers for `service` until it is deregistered. Idempotent by id: unchanged wakes nobody.

    Checks that it had before and that are not given now stay unless `replace_checks`.
    """
    params = {"replace-existing-checks": "true"} if replace_checks else {}
    await client.put("/v1/agent/service/register", _service(service), params)


async def deregister(client: Consul, service_id: str) -> None:
    """The agent has no such service. Raises: NotFound (newer Consul) when it had none; older ones accept that."""
    await client.put(f"/v1/agent/service/deregister/{segment(service_id)}")


async def services(client: Consul, filter_: str = "") -> dict[str, records.Service]:
    """What this agent has registered, by service id."""
    return read_services(await services_answer(client, filter_))


async def services_answer(client: Consul, filter_: str = "") -> Answer:
    """For `read_services`, by those who compare it with the last one first."""
    return await client.get("/v1/agent/services", {"filter": filter_} if filter_ else {})


def read_services(answer: Answer) -> dict[str, records.Service]:
    """Raises: Unavailable (that is no answer of a catalog)."""
    return {key: records.read_service(value) for key, value in answer.json().items()}


async def service(client: Consul, service_id: str) -> records.Service:
    """One service of this agent. Raises: NotFound."""
    return records.read_service((await client.get(f"/v1/agent/service/{segment(service_id)}")).json())


async def checks(client: Consul, filter_: str = "") -> dict[str, records.Check]:
    """The checks of this agent, by check id."""
    return read_checks(await checks_answer(client, filter_))


async def checks_answer(client: Consul, filter_: str = "") -> Answer:
    """For `read_checks`, by those who compare it with the last one first."""
    return await client.get("/v1/agent/checks", {"filter": filter_} if filter_ else {})


def read_checks(answer: Answer) -> dict[str, records.Check]:
    """Raises: Unavailable (that is no answer of a catalog)."""
    return {key: records.read_check(value) for key, value in answer.json().items()}


async def register_check(client: Consul, check: Check, *, service_id: str = "") -> None:
    """The agent has `check`, of the node or of a service that is already registered. Raises: NotFound."""
    await client.put("/v1/agent/check/register", {**_check(check), **({"ServiceID": service_id} if service_id else {})})


async def deregister_check(client: Consul, check_id: str) -> None:
    """The agent has no such check. Raises: NotFound (newer Consul) when it had none."""
    await client.put(f"/v1/agent/check/deregister/{segment(check_id)}")


async def update_check(client: Consul, check_id: str, status: str, output: str = "") -> None:
    """The TTL check has `status` (`passing`, `warning`, `critical`) and its time starts anew. Raises: NotFound."""
    await client.put(f"/v1/agent/check/update/{segment(check_id)}", {"Status": status, "Output": output})


async def maintenance(client: Consul, service_id: str, *, enable: bool, reason: str = "") -> None:
    """The service carries a critical check `_service_maintenance:<id>`, or no longer. Idempotent. Raises: NotFound."""
    params = {"enable": str(enable).lower(), **({"reason": reason} if reason else {})}
    await client.put(f"/v1/agent/service/maintenance/{segment(service_id)}", None, params)


async def node_maintenance(client: Consul, *, enable: bool, reason: str = "") -> None:
    """The agent's node carries a critical check `_node_maintenance`, or no longer. Idempotent."""
    params = {"enable": str(enable).lower(), **({"reason": reason} if reason else {})}
    await client.put("/v1/agent/maintenance", None, params)


async def self_(client: Consul) -> dict[str, Any]:
    """The agent's own description: `Config` (Datacenter, NodeName, NodeID, Version, …), `Member`, `Stats`, `Meta`."""
    value: dict[str, Any] = (await client.get("/v1/agent/self")).json()
    return value


def _service(service: Registration) -> dict[str, Any]:
    return _without_empty(
        {
            "ID": service.id,
            "Name": service.name,
            "Address": service.address,
            "Port": service.port,
            "Tags": list(service.tags),
            "Meta": dict(service.meta),
            "Checks": [_check(check) for check in service.checks],
        }
    )


def _check(check: Check) -> dict[str, Any]:
    durations = {
        "TTL": check.ttl,
        "Interval": check.interval,
        "Timeout": check.timeout,
        "DeregisterCriticalServiceAfter": check.deregister_critical_service_after,
    }
    texts = {
        "CheckID": check.id,
        "Name": check.name,
        "HTTP": check.http,
        "TCP": check.tcp,
        "GRPC": check.grpc,
        "AliasService": check.alias_service,
        "Status": check.status,
        "Notes": check.notes,
    }
    return _without_empty({**texts, **{key: duration(value) for key, value in durations.items() if value is not None}})


def _without_empty(value: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in value.items() if part}
