"""Files of `services.d`: every mistake with its place, and what a valid one means."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pierhead.appfile import host_file, published
from pierhead.kit import errors
from pierhead.model.app import Protocol
from pierhead.model.host import Check, Service

WHOLE = b"""
services:
  billing:
    app: billing
    environment: production
    port: 8080
    address: 10.0.0.7
    tags: [old, vm]
    meta: {version: 1.10, on: yes}
    weight: 40
    route: Billing.Example.com/pay
    drain: 1m
    check: {https: /up, method: HEAD, interval: 3s, timeout: 500ms, rise: 2, fall: 4}
  queue: {port: 5672, check: {ttl: 30s}}
  ledger: {port: 9000, check: {command: "test -e /run/ledger.pid"}}
  ntp: {port: 123, check: none, x-note: "mine"}
  plain: {port: 81}
"""


def read(text: bytes | str) -> dict[str, Service]:
    data = text if isinstance(text, bytes) else text.encode()
    return {one.name: one for one in host_file.read(data, "web.yaml")}


def problems(text: bytes | str) -> list[str]:
    with pytest.raises(errors.Invalid) as refused:
        read(text)
    return [str(problem) for problem in refused.value.problems]


def test_a_whole_file() -> None:
    found = read(WHOLE)
    assert found["billing"] == Service(
        name="billing",
        service="billing-production",
        port=8080,
        address="10.0.0.7",
        protocol=Protocol.HTTP,
        tags=("old", "vm"),
        meta={"version": "1.10", "on": "yes"},
        check=Check("https", "/up", "HEAD", (), timedelta(seconds=3), timedelta(milliseconds=500), 2, 4),
        weight=40,
        route="billing.example.com/pay",
        app="billing",
        environment="production",
        release="host",
        drain=timedelta(minutes=1),
    )
    assert (found["queue"].check.kind, found["queue"].check.interval) == ("ttl", timedelta(seconds=30))
    assert found["ledger"].check.command == ("test", "-e", "/run/ledger.pid")
    assert (found["ntp"].check.kind, found["ntp"].service) == ("none", "ntp")
    assert (found["plain"].check, found["plain"].protocol) == (Check(), Protocol.TCP)


def test_a_further_port_of_an_app_has_a_service_of_its_own() -> None:
    text = "services: {a: {port: 1, app: shop, environment: dev, port_name: admin, release: vm}}"
    assert (read(text)["a"].service, read(text)["a"].release) == ("shop-dev-admin", "vm")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "web.yaml:1: must say what services there are: `services: {name: {port: …}}`"),
        ("services: 3", "web.yaml:1 services: must be a mapping, not 3"),
        ("servces: {}", "web.yaml:1 servces: there is no such key (did you mean services?)"),
        ("services:\n  a: {}", "web.yaml:2 services.a.port: is needed"),
        ("services:\n  a:\n    port: 99999", "web.yaml:3 services.a.port: 99999 is more than 65535"),
        ("services:\n  a:\n    prt: 1", "web.yaml:3 services.a.prt: there is no such key (did you mean port?)"),
        (
            "services:\n  a:\n    port: 1\n    address: db1",
            "web.yaml:4 services.a.address: 'db1' is no IP address: others are told it as it is",
        ),
        (
            "services: {a: {port: 1, address: 0.0.0.0}}",
            "web.yaml:1 services.a.address: '0.0.0.0' leads nowhere: write an address of this machine",
        ),
        (
            "services: {a: {port: 1, app: shop}}",
            "web.yaml:1 services.a.app: needs environment (give environment too, or leave app out)",
        ),
        (
            "services: {a: {port: 1, check: {http: /, tcp: true}}}",
            "web.yaml:1 services.a.check: http and tcp exclude each other (give one of http, https, tcp, grpc, "
            "command, ttl, or write `check: none`)",
        ),
        ("services: {a: {port: 1, check: {tcp: no}}}", "web.yaml:1 services.a.check.tcp: must be `true`, not False"),
        (
            "services: {a: {port: 1, check: {htp: /}}}",
            "web.yaml:1 services.a.check.htp: there is no such key (did you mean http?)",
        ),
        (
            "services: {a: {port: 1, check: {ttl: 9s, rise: 2}}}",
            "web.yaml:1 services.a.check.rise: has no meaning with ttl (nobody is asked)",
        ),
        (
            "services: {a: {port: 1, check: {tcp: true, method: GET}}}",
            "web.yaml:1 services.a.check.method: belongs to http and https",
        ),
        (
            "services: {a: {port: 1, check: no}}",
            "web.yaml:1 services.a.check: must be a mapping or `none`, not False",
        ),
        (
            "services: {a: {port: 1, route: x.example/, protocol: tcp}}",
            "web.yaml:1 services.a.route: tcp has no host names (leave protocol out, or write `protocol: http`)",
        ),
        (
            "services: {a: {port: 1, meta: {pier-owner: x}}}",
            "web.yaml:1 services.a.meta.pier-owner: keys that begin with pier- are set by the agent",
        ),
        (
            "services: {a: {port: 1, meta: {route: x}}}",
            "web.yaml:1 services.a.meta.route: is a field of its own (write `route:` beside `meta:`)",
        ),
        (
            "services:\n  a: {port: 1, service: s}\n  b: {port: 1, service: s}",
            "web.yaml:3 services.b.port: 1 is a's already, in the same service",
        ),
        ("services:\n  a: {port: 1}\n  a: {port: 2}", "web.yaml:3 services.a: is given twice, first in line 2"),
        ("services: {a: {port: 1}", "web.yaml:1: is not YAML: expected ',' or '}', but got '<stream end>'"),
        ("services: {a b: {port: 1}}", "services.a b: 'a b' is not a name: letters, digits"),
        (b"services: \xff", "web.yaml:1: is not UTF-8"),
    ],
)
def test_every_mistake_has_its_place(text: bytes | str, told: str) -> None:
    found = problems(text)
    assert any(told in problem for problem in found), found


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    found = problems("services:\n  a:\n    port: 0\n    weight: 300\n    drain: soon\n  b:\n    prot: 1\n")
    assert [problem.partition(":")[2].split()[0] for problem in found] == ["3", "4", "5", "6", "7"]


def is_read_or_refused(text: bytes | str) -> bool:
    try:
        read(text)
    except errors.Invalid as error:
        return bool(error.problems)
    return True


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_input_is_read_or_refused(text: bytes | str) -> None:
    assert is_read_or_refused(text)


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["port", "check", "meta", "http", "ttl", "app", "tags", "route"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b"]), _ODD, max_size=2))
def test_any_shape_is_read_or_refused(services: dict[str, object]) -> None:
    assert is_read_or_refused(yaml.safe_dump({"services": services}))


def test_the_schema_for_editors_knows_every_field() -> None:
    schema = json.loads(published.services_json_text())
    whole = yaml.safe_load(WHOLE)["services"]
    used = {key for service in whole.values() for key in service if not key.startswith("x-")}
    assert used <= schema["$defs"]["Service"]["properties"].keys()
    asked = {key for one in whole.values() if isinstance(one.get("check"), dict) for key in one["check"]}
    assert asked <= schema["$defs"]["Check"]["properties"].keys()
    assert schema["$defs"]["Service"]["additionalProperties"] is False


def test_the_example_is_valid() -> None:
    example = Path(__file__).parents[3] / "docs/guides/services.d.example.yaml"
    assert host_file.read(example.read_bytes(), example.name)
