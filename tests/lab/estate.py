"""Many services in a catalog at once, without anybody behind their addresses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from pierhead.wire.consul.client import Consul

_MOST = 55
"""Parts of a transaction, of which Consul takes 64."""


async def fill(client: Consul, services: Iterable[int], endpoints: int, *, by_metadata: bool = False) -> None:
    """The services `s<number>` are there with so many endpoints each, and a route each to `s<number>.test`.

    `by_metadata`: the instances ask for it themselves.
    """
    await client.put("/v1/txn", [{"Node": {"Verb": "set", "Node": {"Node": "n", "Address": "127.0.0.1"}}}])
    every = [one for number in services for one in _parts(number, endpoints, by_metadata=by_metadata)]
    for begin in range(0, len(every), _MOST):
        await client.put("/v1/txn", every[begin : begin + _MOST])


def registration(service: int, number: int, status: str = "passing") -> dict[str, Any]:
    """One endpoint with its check, as `/v1/catalog/register` takes it."""
    name = f"s{service}"
    address = f"10.{service >> 8}.{service & 255}.{number + 1}"
    return {
        "Node": "n",
        "Address": "127.0.0.1",
        "Service": {"ID": f"{name}-{number}", "Service": name, "Address": address, "Port": 80},
        "Check": {"CheckID": f"c:{name}-{number}", "Name": "c", "ServiceID": f"{name}-{number}", "Status": status},
    }


def _parts(service: int, endpoints: int, *, by_metadata: bool) -> Iterable[dict[str, Any]]:
    """A service with its route, as parts of a transaction."""
    host = f"s{service}.test"
    for number in range(endpoints):
        told = registration(service, number)
        meta = {"Meta": {"route": f"{host}/"}} if by_metadata else {}
        yield {"Service": {"Verb": "set", "Node": "n", "Service": {**told["Service"], **meta}}}
        yield {"Check": {"Verb": "set", "Check": {**told["Check"], "Node": "n"}}}
    if not by_metadata:
        document = json.dumps({"service": f"s{service}", "hosts": [host]}).encode()
        value = base64.b64encode(document).decode()
        yield {"KV": {"Verb": "set", "Key": f"pier/routes/s{service}", "Value": value}}
