"""A route's document: every field that is known, and nothing else."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.model import route
from pierhead.model.app import Protocol
from pierhead.model.policy import PLAIN, Https, Policy
from pierhead.model.route import Route

FULL = Policy(
    rewrite="/v2",
    https=Https.REDIRECT,
    hsts=timedelta(days=1),
    redirect="https://new.test/x",
    redirect_code=301,
    maintenance=True,
    sticky=True,
    balance="header:X-User",
    connect_timeout=timedelta(milliseconds=500),
    response_timeout=timedelta(minutes=2),
    idle_timeout=timedelta(hours=1),
    body_limit=10 << 20,
    http2=True,
)


@pytest.mark.parametrize("policy", [PLAIN, FULL])
def test_what_is_stored_is_read_as_it_was(policy: Policy) -> None:
    kept = Route("notes", "notes-dev", hosts=("n.test",), service_port=9000, weights={"v1": 1}, policy=policy)
    assert route.read("notes", json.loads(json.dumps(route.document(kept)))) == kept


def test_a_plain_route_says_nothing_of_what_it_does_not_do() -> None:
    assert not route.document(Route("notes", "notes-dev")).keys() & {"rewrite", "sticky", "balance", "redirect"}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"servce": "a"}, "unknown field 'servce'"),
        ({"hosts": ["a.test"]}, "service: must name a service of the catalog"),
        ({"service": "a", "rewrite": "x"}, "rewrite: 'x' must begin with / and have no space, ? or #"),
        ({"service": "a", "https": "no"}, "https: 'no' is none of both, redirect"),
        ({"service": "a", "balance": "random"}, "balance: 'random' is none of roundrobin, leastconn, source, path, "),
        ({"service": "a", "redirect_code": 200}, "redirect_code: 200 is none of 301, 302, 303, 307, 308"),
        ({"service": "a", "sticky": 1}, "sticky: 1 is neither true nor false"),
        ({"service": "a", "hsts": 5}, "hsts: 5 is no duration"),
        ({"service": "a", "body_limit": "much"}, "body_limit: 'much' is no size"),
        ({"redirect": "http://a b"}, "redirect: 'http://a b' is neither a name nor https://name/path"),
        ({"service": "a", "service_port": True}, "service_port: must be a port number"),
        ("x", "a route is a JSON object"),
    ],
)
def test_a_wrong_document_is_refused_with_field_and_reason(document: Any, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(reason)):
        route.read("x", document)


@given(st.dictionaries(st.sampled_from(sorted(route.FIELDS)), st.none() | st.text() | st.integers() | st.booleans()))
def test_any_document_is_read_or_refused_with_a_reason(document: dict[str, Any]) -> None:
    with contextlib.suppress(ValueError):
        found = route.read("x", document)
        assert route.read("x", route.document(found)) == found


def test_every_mistake_of_a_document_is_told_with_its_field() -> None:
    told = {
        "service": "legacy billing",
        "hosts": "billing.test",
        "stick": True,
        "response_timeout": "soon",
        "service_port": 70000,
    }
    assert [str(one) for one in route.problems("Billing!", told)] == [
        "name: 'Billing!' cannot be a route's name (use lower-case letters, digits, `.`, `_` and `-`)",
        "stick: there is no such field (did you mean sticky?)",
        "hosts: must be a list of texts",
        "response_timeout: 'soon' is no duration: write 30s, 2m, 1h30m or 500ms",
        "service_port: must be a port number",
    ]


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"hosts": ["a.test"]}, "service: must name a service of the catalog (`redirect` alone needs none)"),
        ({"service": "a"}, "hosts: neither hosts nor a service_port lead to it"),
        ({"service": "a b", "hosts": ["a.test"]}, "service: 'a b' cannot be a service's name"),
        ({"service": "a", "hosts": ["a_b..test"]}, "hosts: 'a_b..test' is no host name"),
        ({"service": "a", "hosts": ["a.test"], "paths": ["x"]}, "paths: 'x' is no path"),
        (
            {"service": "a", "protocol": "tcp", "service_port": 1, "sticky": True},
            "sticky: tcp carries no HTTP: sticky cannot be set",
        ),
    ],
)
def test_what_no_gateway_can_carry_out_is_told_before_it_is_stored(told: dict[str, Any], problem: str) -> None:
    assert [str(one) for one in route.problems("a", told)] == [problem]


def test_nothing_is_wrong_with_what_can_be_carried_out_and_everything_that_leads_there_is_a_place() -> None:
    told = {"service": "a", "hosts": ["A.test", "b.test"], "paths": ["/x/"], "service_port": 90}
    assert route.problems("a", told) == []
    assert route.places(route.read("a", told)) == {"a.test/x/", "b.test/x/", "port 90"}
    assert route.places(Route("a", "a", Protocol.TCP, ("v.test",))) == {"the TLS name v.test"}
