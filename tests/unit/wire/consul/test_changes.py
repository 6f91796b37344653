from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.wire.consul import changes


def check(
    service: str, status: str = "passing", *, node: str = "n1", output: str = "", id_: str = ""
) -> dict[str, Any]:
    return {
        "Node": node,
        "CheckID": id_ or f"service:{service}",
        "Status": status,
        "Output": output,
        "ServiceID": service,
        "ServiceName": service,
        "ServiceTags": [],
        "Definition": {},
        "ModifyIndex": 1,
    }


def body(*checks: dict[str, Any], indent: int | None = None) -> bytes:
    return json.dumps(checks, separators=(",", ": " if indent else ":"), indent=indent).encode()


@pytest.mark.parametrize("indent", [None, 4], ids=["compact", "pretty"])
def test_only_services_whose_checks_differ_are_named(indent: int | None) -> None:
    before = body(check("a"), check("B"), check("c"), indent=indent)
    now = body(check("a"), check("B", "critical"), check("d"), indent=indent)
    assert changes.between(before, now) == {"b", "c", "d"}
    assert changes.between(now, now) == set()


def test_the_check_of_a_node_concerns_the_services_on_it() -> None:
    here, there = check("a"), check("b", node="n2")
    before = body(here, there, check("", id_="serfHealth"))
    assert changes.between(before, body(here, there, check("", "critical", id_="serfHealth"))) == {"a"}


def test_an_output_that_looks_like_checks_misleads_nobody() -> None:
    odd = '},{"ServiceName":"z"},{'
    before, now = check("a", output=odd), check("a", "critical", output=odd)
    assert changes.between(body(before, check("b")), body(now, check("b"))) == {"a"}


CHECKS = st.lists(
    st.builds(
        check,
        st.sampled_from(["", "a", "b", 'q"uo},{te']),
        st.sampled_from(["passing", "critical"]),
        output=st.sampled_from(["", "},{", '"ServiceName":"x"']),
    ),
    max_size=6,
)


@given(CHECKS, CHECKS)
def test_no_service_whose_check_changed_its_status_is_missed(before: list[Any], now: list[Any]) -> None:
    def statuses(checks: list[Any]) -> dict[str, set[str]]:
        return {c["ServiceName"]: {d["Status"] for d in checks if d["ServiceName"] == c["ServiceName"]} for c in checks}

    old, new = statuses(before), statuses(now)
    differing = {name.lower() for name in old.keys() | new.keys() if name and old.get(name) != new.get(name)}
    assert differing <= changes.between(body(*before), body(*now))
